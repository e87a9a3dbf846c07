"""Clusters faces by their features into parts.

Agglomerative clustering with Ward's criterion (Ward 1963) among faces that touch, as PartField's authors use it (Liu et
al. 2025), or k-means. Pieces of a mesh that do not touch are joined to one graph by a minimum spanning tree.
"""

from __future__ import annotations

from typing import Any

#: Neighbours of a face, or of a piece, among which bridges between pieces are sought: upstream's number.
_NEIGHBOURS = 10


def cluster_faces(mesh: Any, features: Any, parts: int, *, method: str, bridge: str, seed: int) -> Any:
    """Give each face a part: an int32 array (F,) of 0..k-1, each number used, part 0 the one of the first face. k is
    `parts`, or less if k-means finds fewer distinct features.

    The mesh is a `trimesh.Trimesh` of F faces, the features are (F, C). `method` is `agglomerative` or `kmeans`, whose
    first centres `seed` draws; `bridge` is how pieces are joined, see `face_graph`.
    """
    import numpy as np

    if parts == 1:
        return np.zeros(len(mesh.faces), dtype=np.int32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.where(lengths > 0, lengths, 1)
    if method == "kmeans":
        import warnings

        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # Fewer distinct features than parts; the caller counts what came out.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = KMeans(n_clusters=parts, n_init=10, random_state=seed).fit_predict(directions)
    else:
        from sklearn.cluster import AgglomerativeClustering

        graph = face_graph(mesh, bridge)
        labels = AgglomerativeClustering(n_clusters=parts, connectivity=graph, linkage="ward").fit_predict(directions)
    return numbered(labels)


def numbered(labels: Any) -> Any:
    """The same parts numbered 0..k-1 in the order of their first face, int32."""
    import numpy as np

    _, first, inverse = np.unique(np.asarray(labels).ravel(), return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse.ravel()]


def face_graph(mesh: Any, bridge: str) -> Any:
    """Which faces are neighbours: those that share an edge, and bridges that make one graph of all pieces.

    Corners at one place count as one vertex, since a texture's seams store them twice. `bridge` is `faces`: along the
    minimum spanning tree of the graph of each face's 10 nearest, by centre, all of whose edges are taken too; or
    `components`: the same among the pieces' centres, at the face nearest to each. Takes a `trimesh.Trimesh` of F faces,
    returns a symmetric, connected `scipy.sparse.csr_matrix` (F, F) of ones.
    """
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.faces)
    centres = np.asarray(mesh.triangles).mean(axis=1)
    pairs = _touching(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    # The nearest ones do not reach across far apart groups of close pieces: those are joined by a tree.
    for join in (_near, _tree, None):
        graph = coo_matrix((np.ones(len(pairs[0])), pairs), shape=(count, count)).tocsr()
        pieces, piece_of = connected_components(graph, directed=False)
        if pieces == 1 or join is None:
            break
        if bridge == "faces" and join is _near:
            more = _near(centres, np.arange(count))
        else:
            middles = np.array([centres[piece_of == piece].mean(axis=0) for piece in range(pieces)])
            more = join(middles, _nearest_faces(centres, piece_of, middles))
        pairs = tuple(np.concatenate(both) for both in zip(pairs, more, strict=True))
    graph = graph.maximum(graph.T)
    graph.data[:] = 1
    return graph.tocsr()


def _touching(vertices: Any, faces: Any) -> tuple[Any, ...]:
    """Pairs of faces along each edge: consecutive ones where more than two meet, which connects the same."""
    from ...mesh.triangles import sorted_edges
    from ...mesh.weld import weld_vertices

    edges, owner = sorted_edges(weld_vertices(vertices)[0][faces])
    same = (edges[1:] == edges[:-1]).all(axis=1) & (owner[1:] != owner[:-1])
    return owner[:-1][same], owner[1:][same]


def _near(points: Any, names: Any) -> tuple[Any, ...]:
    """Pairs of names of points of which one is among the other's nearest."""
    import numpy as np
    from scipy.spatial import cKDTree

    neighbours = min(_NEIGHBOURS + 1, len(points))
    _, found = cKDTree(points).query(points, k=neighbours)
    found = np.asarray(found).reshape(len(points), neighbours)
    first = np.repeat(np.arange(len(points)), neighbours)
    second = found.ravel()
    keep = first != second
    return names[first[keep]], names[second[keep]]


def _nearest_faces(centres: Any, piece_of: Any, middles: Any) -> Any:
    """The face of each piece that is nearest to the piece's middle."""
    import numpy as np

    distance = np.linalg.norm(centres - middles[piece_of], axis=1)
    order = np.lexsort((distance, piece_of))
    _, first = np.unique(piece_of[order], return_index=True)
    return order[first]


def _tree(points: Any, names: Any) -> tuple[Any, ...]:
    """Pairs of names along the minimum spanning tree of few points (all distances are computed)."""
    import numpy as np
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist

    # An edge of length 0 is none to scipy; places may coincide.
    tree = minimum_spanning_tree(cdist(points, points) + np.finfo(float).tiny).tocoo()
    return names[tree.row], names[tree.col]
