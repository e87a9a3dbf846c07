/** How a model is drawn: as it is painted, in clay, by part, by normals, as texture coordinates, as wires. */
import {
  Color,
  DataTexture,
  DoubleSide,
  Material,
  MeshBasicMaterial,
  MeshNormalMaterial,
  MeshStandardMaterial,
  NearestFilter,
  Points,
  RepeatWrapping,
  RGBAFormat,
} from "three";
import type { Part } from "./inspect.js";

export type Look = "painted" | "clay" | "parts" | "normals" | "uv";

/** Successive hues by the golden angle: neighbours in the list differ clearly. */
export function partColour(at: number): string {
  return `hsl(${Math.round((at * 137.508) % 360)}, 60%, 60%)`; // with commas: three.js reads no other form
}

export class Looks {
  private readonly own = new Map<Part, Material | Material[]>();
  private readonly made: Material[] = [];
  private checker: DataTexture | null = null;
  private look: Look = "painted";
  private wires = false;

  constructor(private readonly parts: Part[]) {
    for (const part of parts) this.own.set(part, part.mesh.material);
  }

  show(look: Look): void {
    this.look = look;
    this.apply();
  }

  wireframe(on: boolean): void {
    this.wires = on;
    this.apply();
  }

  dispose(): void {
    for (const material of this.made) material.dispose();
    this.checker?.dispose();
  }

  private apply(): void {
    for (const material of this.made.splice(0)) material.dispose();
    this.parts.forEach((part, at) => {
      const own = this.own.get(part)!;
      const material = this.look === "painted" || part.mesh instanceof Points ? own : this.replacement(part, at);
      part.mesh.material = material;
      for (const each of ([] as Material[]).concat(material)) {
        if ("wireframe" in each) each.wireframe = this.wires;
      }
    });
  }

  private replacement(part: Part, at: number): Material {
    let material: Material;
    if (this.look === "normals") material = new MeshNormalMaterial({ side: DoubleSide });
    else if (this.look === "uv") material = this.coordinates(part);
    else {
      const colour = this.look === "parts" ? new Color().setStyle(partColour(at)) : new Color(0xc4c0b8);
      material = new MeshStandardMaterial({ color: colour, roughness: 0.85, metalness: 0, side: DoubleSide });
    }
    this.made.push(material);
    return material;
  }

  private coordinates(part: Part): Material {
    if (!part.mesh.geometry.hasAttribute("uv")) return new MeshBasicMaterial({ color: 0xa03030, side: DoubleSide });
    this.checker ??= checkerboard();
    return new MeshStandardMaterial({ map: this.checker, roughness: 0.9, metalness: 0, side: DoubleSide });
  }
}

function checkerboard(): DataTexture {
  const side = 16;
  const pixels = new Uint8Array(side * side * 4);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const light = (x + y) % 2 === 0;
      pixels.set(light ? [235, 235, 235, 255] : [40 + x * 12, 60, 40 + y * 12, 255], (y * side + x) * 4);
    }
  }
  const texture = new DataTexture(pixels, side, side, RGBAFormat);
  texture.wrapS = texture.wrapT = RepeatWrapping;
  texture.magFilter = NearestFilter;
  texture.needsUpdate = true;
  return texture;
}
