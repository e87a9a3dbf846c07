/** Reads a file of a result into a three.js object. Nothing outside of the file is fetched. */
import {
  AnimationClip,
  BufferAttribute,
  BufferGeometry,
  DoubleSide,
  Group,
  LoadingManager,
  Mesh,
  MeshStandardMaterial,
  Object3D,
  Points,
  PointsMaterial,
} from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { OBJLoader } from "three/examples/jsm/loaders/OBJLoader.js";
import { PLYLoader } from "three/examples/jsm/loaders/PLYLoader.js";
import { STLLoader } from "three/examples/jsm/loaders/STLLoader.js";
import { endingOf, READABLE } from "../state/readable.js";

export interface Model {
  root: Object3D;
  animations: AnimationClip[];
  /** What of the file is not shown, for people. */
  notes: string[];
}

export class UnreadableFile extends Error {}

/** Zeroth spherical harmonic: a splat's colour is 0.5 + SH0 * f_dc (Kerbl et al. 2023). */
const SH0 = 0.28209479177387814;
/** Position and scale as six float32, colour and turn as eight bytes. */
const SPLAT_BYTES = 32;

export async function readModel(bytes: ArrayBuffer, name: string): Promise<Model> {
  const ending = endingOf(name);
  if (ending === "glb" || ending === "gltf") return readGltf(bytes);
  if (ending === "obj") return readObj(bytes);
  if (ending === "ply") return readPly(bytes);
  if (ending === "stl") return whole(named(new Mesh(new STLLoader().parse(bytes), plain(false)), name), []);
  if (ending === "splat") return readSplat(bytes);
  throw new UnreadableFile(`${name}: the viewer reads ${READABLE.join(", ")}`);
}

async function readGltf(bytes: ArrayBuffer): Promise<Model> {
  const notes: string[] = [];
  const manager = new LoadingManager();
  // A file may name others by address. They are no part of the result, and this page asks no other host.
  manager.setURLModifier((url) => {
    if (url.startsWith("blob:") || url.startsWith("data:")) return url;
    notes.push(`${url}: lies outside of the file`);
    return "data:,";
  });
  const gltf = await new GLTFLoader(manager).parseAsync(bytes, "");
  return { root: gltf.scene, animations: gltf.animations, notes };
}

function readObj(bytes: ArrayBuffer): Model {
  const root = new OBJLoader().parse(new TextDecoder().decode(bytes));
  root.traverse((each) => {
    if (each instanceof Mesh) each.material = plain(each.geometry.hasAttribute("color"));
  });
  return whole(root, ["materials of an OBJ file lie in another file: it is shown in one colour"]);
}

function readPly(bytes: ArrayBuffer): Model {
  const loader = new PLYLoader();
  loader.setCustomPropertyNameMapping({ f_dc: ["f_dc_0", "f_dc_1", "f_dc_2"] });
  const geometry = loader.parse(bytes);
  const harmonics = geometry.getAttribute("f_dc");
  if (harmonics) {
    const colours = new Float32Array(harmonics.count * 3);
    for (let at = 0; at < harmonics.count; at++) {
      colours[at * 3] = clamped(harmonics.getX(at));
      colours[at * 3 + 1] = clamped(harmonics.getY(at));
      colours[at * 3 + 2] = clamped(harmonics.getZ(at));
    }
    geometry.setAttribute("color", new BufferAttribute(colours, 3));
    return whole(cloud(geometry), [SPLATS]);
  }
  if (geometry.index === null) return whole(cloud(geometry), []);
  return whole(new Mesh(geometry, plain(geometry.hasAttribute("color"))), []);
}

const SPLATS = "each Gaussian is shown as a point";

function clamped(harmonic: number): number {
  return Math.min(1, Math.max(0, 0.5 + SH0 * harmonic));
}

function readSplat(bytes: ArrayBuffer): Model {
  const count = Math.floor(bytes.byteLength / SPLAT_BYTES);
  if (count === 0) throw new UnreadableFile("the file holds no Gaussian");
  const view = new DataView(bytes);
  const positions = new Float32Array(count * 3);
  const colours = new Float32Array(count * 3);
  for (let at = 0; at < count; at++) {
    for (let axis = 0; axis < 3; axis++) {
      positions[at * 3 + axis] = view.getFloat32(at * SPLAT_BYTES + axis * 4, true);
      colours[at * 3 + axis] = view.getUint8(at * SPLAT_BYTES + 24 + axis) / 255;
    }
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setAttribute("color", new BufferAttribute(colours, 3));
  return whole(cloud(geometry), [SPLATS]);
}

function cloud(geometry: BufferGeometry): Points {
  const coloured = geometry.hasAttribute("color");
  const material = new PointsMaterial({ size: 2, sizeAttenuation: false, vertexColors: coloured });
  if (!coloured) material.color.set(0x8899aa);
  return new Points(geometry, material);
}

function plain(vertexColors: boolean): MeshStandardMaterial {
  return new MeshStandardMaterial({
    color: vertexColors ? 0xffffff : 0xb8bcc4,
    vertexColors,
    roughness: 0.8,
    metalness: 0,
    side: DoubleSide,
  });
}

function named(object: Object3D, name: string): Object3D {
  object.name = name;
  return object;
}

/** A mesh without normals would be black. */
function whole(object: Object3D, notes: string[]): Model {
  object.traverse((each) => {
    if (each instanceof Mesh && !each.geometry.hasAttribute("normal")) each.geometry.computeVertexNormals();
  });
  const root = new Group();
  root.add(object);
  return { root, animations: [], notes };
}
