/** What a model consists of, counted. */
import { Bone, Box3, BufferGeometry, Material, Mesh, Object3D, Points, SkinnedMesh, Texture, Vector3 } from "three";
import type { Model } from "./model.js";

export interface Part {
  name: string;
  triangles: number;
  mesh: Mesh | Points;
}

export interface Statistics {
  triangles: number;
  vertices: number;
  parts: number;
  materials: number;
  textures: { name: string; width: number; height: number }[];
  bones: number;
  animations: number;
  /** Width, height and depth of the bounding box, in the file's unit (glTF: metres). */
  size: [number, number, number];
  bytes: number;
}

export function partsOf(root: Object3D): Part[] {
  const parts: Part[] = [];
  root.traverse((each) => {
    if (each instanceof Mesh || each instanceof Points) {
      parts.push({ name: nameOf(each, parts.length), triangles: trianglesOf(each), mesh: each });
    }
  });
  return parts;
}

export function bonesOf(root: Object3D): Bone[] {
  const bones = new Set<Bone>();
  root.traverse((each) => {
    if (each instanceof SkinnedMesh) for (const bone of each.skeleton.bones) bones.add(bone);
  });
  return [...bones];
}

export function statisticsOf(model: Model, bytes: number): Statistics {
  const materials = new Set<Material>();
  const textures = new Set<Texture>();
  const geometries = new Set<BufferGeometry>();
  let triangles = 0;
  const parts = partsOf(model.root);
  for (const { mesh } of parts) {
    triangles += trianglesOf(mesh);
    geometries.add(mesh.geometry);
    for (const material of ([] as Material[]).concat(mesh.material)) {
      materials.add(material);
      for (const value of Object.values(material)) if (value instanceof Texture) textures.add(value);
    }
  }
  let vertices = 0;
  for (const geometry of geometries) vertices += geometry.getAttribute("position")?.count ?? 0;
  const size = new Box3().setFromObject(model.root).getSize(new Vector3());
  return {
    triangles,
    vertices,
    parts: parts.length,
    materials: materials.size,
    textures: [...textures].map((texture) => ({ name: texture.name, ...dimensions(texture) })),
    bones: bonesOf(model.root).length,
    animations: model.animations.length,
    size: [size.x, size.y, size.z],
    bytes,
  };
}

function dimensions(texture: Texture): { width: number; height: number } {
  const image = texture.image as { width?: number; height?: number } | null;
  return { width: image?.width ?? 0, height: image?.height ?? 0 };
}

function trianglesOf(mesh: Mesh | Points): number {
  if (mesh instanceof Points) return 0;
  const geometry = mesh.geometry;
  return Math.floor((geometry.index?.count ?? geometry.getAttribute("position")?.count ?? 0) / 3);
}

function nameOf(mesh: Object3D, at: number): string {
  const parent = mesh.parent?.name ?? "";
  return mesh.name || parent || `part ${at + 1}`;
}
