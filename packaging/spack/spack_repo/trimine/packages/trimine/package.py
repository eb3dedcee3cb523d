"""Spack's recipe for trimine. From a checkout, with Spack 1.0 or later:

    spack repo add packaging/spack/spack_repo/trimine
    spack install trimine
"""
import os

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Trimine(CMakePackage):
    """Exact mining of hard training examples from whole embedding stores, over MPI."""

    # The checkout that this file is in: what is committed on its branch main is what is built.
    git = "file://" + os.path.realpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 6))

    license("MIT")

    version("main", branch="main")

    variant("shared", default=True, description="Build the shared library beside the static one")
    variant("python", default=True, description="What the commands written in Python need: trimine report")

    depends_on("c", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("random123", type="build")

    depends_on("mpi@3.1:")
    depends_on("hdf5@1.10:")
    depends_on("blas")
    depends_on("lapack")
    depends_on("jansson@2.10:")
    depends_on("xxhash@0.8:")
    depends_on("zlib-api")

    depends_on("python@3.9:", type="run", when="+python")
    depends_on("py-h5py", type="run", when="+python")
    depends_on("py-numpy", type="run", when="+python")

    # Its threads call the BLAS side by side, which an OpenBLAS built without threads does not stand.
    requires("^openblas threads=openmp", when="^[virtuals=blas] openblas")
    requires("^blis+cblas threads=openmp", when="^[virtuals=blas] blis")

    def cmake_args(self):
        return [
            self.define_from_variant("TRIMINE_SHARED", "shared"),
            self.define("TRIMINE_HDF5", "hdf5"),
            self.define("BLAS_LIBRARIES", self.spec["blas:c"].libs.joined(";")),
            self.define("CBLAS_INCLUDE_DIR", self.spec["blas:c"].headers.directories[0]),
            self.define("LAPACK_LIBRARIES", self.spec["lapack"].libs.joined(";")),
            self.define("MPI_C_COMPILER", self.spec["mpi"].mpicc),
            self.define("BUILD_TESTING", False),
        ]

    def test_mine(self):
        """mine a small synthetic store"""
        trimine = which(self.prefix.bin.trimine, required=True)
        trimine("synth", "store.h5", "--rows", "500", "--dim", "16", "--classes", "20")
        trimine("mine", "store.h5", "-o", "triplets.h5")
