"""Shared libraries of the system that packages of several recipes load; servers without a screen lack most of them."""

from __future__ import annotations

from .recipe import SystemLibrary


def opengl(used_by: str) -> tuple[SystemLibrary, ...]:
    """What pymeshlab, vtk, OpenCV's and open3d's drawing ask of OpenGL."""
    return (SystemLibrary(soname="libGL.so.1", package="libgl1", used_by=used_by),)


def opengl_of_pymeshlab() -> tuple[SystemLibrary, ...]:
    """What pymeshlab's plugins ask for (pymeshlab issue 393)."""
    return (*opengl("pymeshlab"), SystemLibrary(soname="libOpenGL.so.0", package="libopengl0", used_by="pymeshlab"))


def x11(used_by: str) -> tuple[SystemLibrary, ...]:
    """What vtk asks for: PartField's README names the three packages."""
    return (
        SystemLibrary(soname="libX11.so.6", package="libx11-6", used_by=used_by),
        SystemLibrary(soname="libXrender.so.1", package="libxrender1", used_by=used_by),
    )


def blender() -> tuple[SystemLibrary, ...]:
    """What Blender as a module (bpy) asks for: the packages that Blender's build instructions name for Linux."""
    named = (
        ("libX11.so.6", "libx11-6"),
        ("libXi.so.6", "libxi6"),
        ("libXxf86vm.so.1", "libxxf86vm1"),
        ("libXfixes.so.3", "libxfixes3"),
        ("libXrender.so.1", "libxrender1"),
        ("libxkbcommon.so.0", "libxkbcommon0"),
        ("libSM.so.6", "libsm6"),
        ("libICE.so.6", "libice6"),
        ("libGL.so.1", "libgl1"),
    )
    return tuple(SystemLibrary(soname=soname, package=package, used_by="bpy") for soname, package in named)


def open3d() -> tuple[SystemLibrary, ...]:
    """What open3d loads at import, cameras included."""
    return (*opengl("open3d"), SystemLibrary(soname="libusb-1.0.so.0", package="libusb-1.0-0", used_by="open3d"))
