/** A skeleton in front of its mesh: long octahedra from joint to joint, dots at the joints. It is seen on any texture. */
import {
  Bone,
  BufferGeometry,
  DoubleSide,
  Float32BufferAttribute,
  Group,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  Points,
  PointsMaterial,
  Vector3,
} from "three";

/** How thick a bone is, and where it is thickest, as shares of its length. */
const THICKNESS = 0.07;
const WAIST = 0.15;
/** Corners of an octahedron: 0 the head, 1 to 4 the waist, 5 the tail. */
const FACES = [0, 1, 2, 0, 2, 3, 0, 3, 4, 0, 4, 1, 5, 2, 1, 5, 3, 2, 5, 4, 3, 5, 1, 4];
const EDGES = [0, 1, 0, 2, 0, 3, 0, 4, 1, 2, 2, 3, 3, 4, 4, 1, 5, 1, 5, 2, 5, 3, 5, 4];

const ON_TOP = { depthTest: false, depthWrite: false, toneMapped: false, transparent: true };

/** The six corners of a bone between two points. */
export function octahedron(head: Vector3, tail: Vector3): Vector3[] {
  const along = tail.clone().sub(head);
  const length = along.length();
  const aside = (Math.abs(along.y) < 0.9 * length ? new Vector3(0, 1, 0) : new Vector3(1, 0, 0)).cross(along).setLength(length * THICKNESS);
  const across = aside.clone().cross(along).setLength(length * THICKNESS);
  const waist = head.clone().addScaledVector(along, WAIST);
  return [head, waist.clone().add(aside), waist.clone().add(across), waist.clone().sub(aside), waist.clone().sub(across), tail];
}

export class BoneView {
  readonly group = new Group();
  private joints: Bone[] = [];
  private pairs: [Bone, Bone][] = [];

  show(joints: Bone[]): void {
    this.clear();
    this.joints = joints;
    this.pairs = joints.flatMap((each) => (each.parent instanceof Bone ? [[each.parent, each] as [Bone, Bone]] : []));
    const fill = new Mesh(emptyGeometry(this.pairs.length * FACES.length), new MeshBasicMaterial({ ...ON_TOP, color: 0x2fd0ff, opacity: 0.6, side: DoubleSide }));
    const lines = new LineSegments(emptyGeometry(this.pairs.length * EDGES.length), new LineBasicMaterial({ ...ON_TOP, color: 0x06283d }));
    this.group.add(fill, lines, dots(joints.length, 0x06283d, 11), dots(joints.length, 0xffe14a, 7));
    this.group.children.forEach((each, at) => {
      each.renderOrder = 2 + at;
      each.frustumCulled = false;
    });
    this.follow();
  }

  /** Puts everything where the joints are now. */
  follow(): void {
    const [fill, lines, ...points] = this.group.children as (Mesh | LineSegments | Points)[];
    if (!fill || !lines) return;
    const place = (bone: Bone) => bone.getWorldPosition(new Vector3());
    const corners = this.pairs.map(([from, to]) => octahedron(place(from), place(to)));
    put(fill.geometry, corners.flatMap((each) => FACES.map((at) => each[at]!)));
    put(lines.geometry, corners.flatMap((each) => EDGES.map((at) => each[at]!)));
    for (const each of points) put(each.geometry, this.joints.map(place));
  }

  clear(): void {
    for (const each of this.group.children as (Mesh<BufferGeometry, MeshBasicMaterial>)[]) {
      each.geometry.dispose();
      each.material.dispose();
    }
    this.group.clear();
    this.joints = [];
    this.pairs = [];
  }
}

function emptyGeometry(count: number): BufferGeometry {
  return new BufferGeometry().setAttribute("position", new Float32BufferAttribute(new Float32Array(count * 3), 3));
}

function dots(count: number, color: number, size: number): Points {
  return new Points(emptyGeometry(count), new PointsMaterial({ ...ON_TOP, color, size, sizeAttenuation: false }));
}

function put(geometry: BufferGeometry, points: Vector3[]): void {
  const positions = geometry.getAttribute("position");
  points.forEach((each, at) => positions.setXYZ(at, each.x, each.y, each.z));
  positions.needsUpdate = true;
}
