def voxel_skin(
    grid,
    grid_coords,
    joints,
    vertices,
    faces,
    alpha=0.5,
    link_dis=0.00001,
    grid_query=27,
    vertex_query=27,
    grid_weight=3.0,
    voxel_size=None,
    mode="square",
    parents=None,
):
    assert voxel_size == 0.5 and len(grid_coords) == 1
    return 1.0
