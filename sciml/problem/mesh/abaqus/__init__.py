"""Abaqus input files (``.inp``): nodes, elements, sets and surfaces of models, parts and assemblies.

What becomes of the file:

- **Elements.** Their type says the shape only; physics comes from the problem. Triangles of 3 and 6 nodes and
  quadrilaterals of 4 and 8 (solids such as CPS4R, CPE8, CAX3, DC2D4; membranes and shells such as M3D4, S3,
  S4R, STRI3, which must lie flat), tetrahedra of 4 and 10 nodes, hexahedra of 8 and 20 (C3D10, C3D8R, C3D20R,
  DC3D8). Trusses and beams (T2D2, B21) beside these, and membranes and shells beside solids, are facets where they
  lie on one and are left out with a warning elsewhere. Masses, springs and the like are left out with a warning.
- **Element sets** are regions (boundary parts, if they are made of facets).
- **Surfaces** of ``TYPE=ELEMENT`` are exactly their faces: S1 to S6 and E1 to E4 of an element or element set, SPOS
  and SNEG of shells beside solids, and without an identifier all faces that belong to one element only.
- **Node sets**, and surfaces of ``TYPE=NODE``, are the facets of the boundary all of whose corners are in the set.
  A surface takes precedence over a node set of the same name.
- **Parts and instances.** Every instance puts a copy of its part into the mesh, moved and turned. A set of a part
  keeps its name, as the union over the instances; where several instances, or an instance and the
  assembly, have a set of that name, ``INSTANCE.NAME`` is the one of an instance, and the plain name the
  assembly's if it has one. Nodes of different instances are never joined.
- **Names** are spelled as where the file first writes them; within the file case does not count.

Refused are files that need others (*INCLUDE, INPUT=), generated nodes and elements (*NGEN, *ELGEN, …), and other
coordinate systems. All else (materials, steps, loads) is skipped.
"""

from .reading import read_abaqus

__all__ = ["read_abaqus"]
