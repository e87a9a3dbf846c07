"""The kinds of input that real files taught us, and the tests of each with inputs of our own making.

The names are those of the small files beside the repository (`mesh_files.case`), one for each kind.
"""

from __future__ import annotations

#: Tests of each kind, in tests/builtin, that make at least two inputs together; those of the files themselves come on
#: top (`test_kinds_of_files.py`, `test_second_reader.py`).
KINDS: dict[str, tuple[str, ...]] = {
    "vcol_vec3.glb": ("test_conversion.py::test_vertex_colours_beside_a_material_of_any_form_stay",),
    "obj_bom_vertex.obj": ("test_text_encodings.py::test_a_byte_order_mark_takes_no_line_of_an_obj_with_it",),
    "obj_latin1.obj": ("test_text_encodings.py::test_names_and_comments_in_any_code_page_are_read_past",),
    "obj_cr_lines.obj": ("test_text_encodings.py::test_all_line_ends_read_the_same",),
    "skin_armature_turned.glb": (
        "test_glb_reading.py::test_a_skinned_mesh_is_not_placed_by_its_own_node",
        "test_glb_reading.py::test_a_skinned_mesh_is_as_large_as_its_joints_make_it",
    ),
    "texture_transform.glb": ("test_glb_reading.py::test_a_texture_that_is_moved_lies_there_in_the_coordinates",),
    "gpu_instancing.glb": (
        "test_glb_reading.py::test_copies_by_an_extension_stand_where_it_says",
        "test_glb_reading.py::test_copies_are_turned_and_scaled_too",
    ),
    "uv_beyond_one.glb": (
        "test_kinds_of_files.py::test_colours_of_a_picture_that_repeats",
        "test_mesh_result.py::test_a_texture_repeats_where_coordinates_leave_it",
    ),
    "sampler_clamp_nearest.glb": ("test_kinds_of_files.py::test_how_a_picture_repeats_is_kept",),
    "material_extensions.glb": ("test_kinds_of_files.py::test_extensions_of_materials_are_kept_or_named",),
    "vcol_and_uv.ply": (
        "test_mesh_formats.py::test_colours_of_a_ply_stay_beside_texture_coordinates",
        "test_mesh_formats.py::test_colours_behind_the_places_stay_with_and_without_texture_coordinates",
    ),
    "two_objects_names.obj": (
        "test_mesh_formats.py::test_objects_are_parts_with_their_names",
        "test_mesh_formats.py::test_an_object_that_comes_back_goes_on",
    ),
    "usemtl_names.obj": (
        "test_mesh_formats.py::test_materials_keep_their_names_and_no_texture_is_invented",
        "test_mesh_formats.py::test_an_object_of_two_materials_is_two_parts_named_after_both",
    ),
    "uv_no_texture.glb": ("test_kinds_of_files.py::test_coordinates_of_a_glb_without_a_picture_are_kept",),
    "georef_double.ply": (
        "test_conversion.py::test_what_lies_far_off_keeps_its_shape_or_says_that_it_does_not",
        "test_mesh_formats.py::test_a_mesh_far_from_the_origin_keeps_its_shape",
    ),
    "scale_1e-6.obj": ("test_texturing.py::test_a_mesh_of_any_size_is_painted_alike",),
    "dark_factor.glb": ("test_losses.py::test_factors_keep_their_precision_in_a_file_that_is_written_anew",),
    "jpeg_texture.glb": ("test_kinds_of_files.py::test_photographs_keep_their_bytes",),
    "two_primitives.glb": (
        "test_glb_copy.py::test_several_primitives_have_the_same_names_each_time",
        "test_glb_kept.py::test_the_same_file_gives_the_same_bytes",
    ),
    "ply_tristrips.ply": ("test_mesh_formats.py::test_strips_are_triangles_that_all_face_one_way",),
    "off_vertexcolours.off": ("test_mesh_formats.py::test_colours_of_an_off_at_vertices_and_at_faces",),
    "stl_no_endsolid.stl": ("test_mesh_formats.py::test_a_text_stl_without_its_end_is_read_and_told",),
    "stl_trailing_bytes.stl": ("test_mesh_formats.py::test_bytes_behind_the_triangles_of_an_stl_are_named",),
    "ring.png": (
        "test_silhouette_openings.py::test_a_ring_becomes_a_torus",
        "test_silhouette_openings.py::test_a_glint_is_no_opening",
    ),
}
