/** The endings of files that the viewer shows; in a module of its own, so that asking needs no three.js. */
export const READABLE: readonly string[] = ["glb", "gltf", "obj", "ply", "stl", "splat"];

export function endingOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1).toLowerCase();
}

export function canRead(name: string): boolean {
  return READABLE.includes(endingOf(name));
}
