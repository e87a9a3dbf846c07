/** What can be made, in the order in which people usually come to it, and what it is called. */
import type { Feature } from "../api/types.js";

const TITLES: Record<string, string> = {
  text_to_mesh: "A mesh from words",
  image_to_mesh: "A mesh from a photograph",
  multimodal_to_mesh: "A mesh from words and a photograph",
  image_to_splat: "Gaussian splats from a photograph",
  text_to_texture: "A texture from words",
  image_to_texture: "A texture from a photograph",
  mesh_segmentation: "The parts of a mesh",
  part_completion: "Parts made whole",
  auto_rig: "A skeleton and its skin",
  mesh_retopology: "Retopology",
  uv_unwrapping: "Texture coordinates",
  mesh_simplification: "A simpler mesh",
  mesh_conversion: "Another file format",
};
const ORDER = Object.keys(TITLES);

export function titleOf(feature: string): string {
  return TITLES[feature] ?? feature.replace(/_/g, " ");
}

/** Features that somebody can run; `echo` is for tests. */
export function offeredToMake(features: Feature[]): Feature[] {
  const place = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return features
    .filter((each) => each.adapters.length > 0 && each.feature !== "echo")
    .sort((a, b) => place(a.feature) - place(b.feature));
}
