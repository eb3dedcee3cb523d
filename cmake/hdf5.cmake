# HDF5, serial or parallel: only serial calls are used. A parallel one brings its MPI along, and two MPIs in one program
# end badly, so it has to be the one that was found.
#
# Which one: -DTRIMINE_HDF5=NAME takes pkg-config's NAME (Debian: hdf5-serial, hdf5-openmpi, hdf5-mpich); else CMake's
# FindHDF5 decides (h5cc, h5pcc; HDF5_ROOT).
set(TRIMINE_HDF5 "" CACHE STRING "pkg-config's name of the HDF5 to use; empty: what CMake finds")

# The names of the MPI libraries that a list of libraries is (SONAME), or needs (NEEDED).
function(trimine_mpi_names tag libraries result)
  set(names "")
  foreach(library IN LISTS libraries)
    if(EXISTS "${library}")
      execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE text ERROR_QUIET)
      string(REGEX MATCHALL "\\(${tag}\\)[^\n]*\\[lib(mpi|mpich|mpi_[a-z]+)\\.so[^]]*\\]" lines "${text}")
      list(TRANSFORM lines REPLACE ".*\\[([^]]*)\\].*" "\\1")
      list(APPEND names ${lines})
    endif()
  endforeach()
  set(${result} "${names}" PARENT_SCOPE)
endfunction()

if(TRIMINE_HDF5)
  pkg_check_modules(TRIMINE_HDF5_PC REQUIRED ${TRIMINE_HDF5})
  set(HDF5_INCLUDE_DIRS ${TRIMINE_HDF5_PC_INCLUDE_DIRS})
  set(HDF5_C_LIBRARIES ${TRIMINE_HDF5_PC_LINK_LIBRARIES})
  set(HDF5_VERSION ${TRIMINE_HDF5_PC_VERSION})
  if(HDF5_VERSION VERSION_LESS 1.10)
    message(FATAL_ERROR "trimine needs HDF5 1.10; ${TRIMINE_HDF5} is ${HDF5_VERSION}")
  endif()
else()
  find_package(HDF5 1.10 COMPONENTS C)
  if(NOT HDF5_FOUND)
    message(FATAL_ERROR "trimine needs HDF5 1.10, serial or parallel. Debian: libhdf5-dev")
  endif()
endif()

trimine_mpi_names(NEEDED "${HDF5_C_LIBRARIES}" hdf5_mpi)
trimine_mpi_names(SONAME "${MPI_C_LIBRARIES}" found_mpi)
if(hdf5_mpi)
  message(STATUS "HDF5: ${HDF5_VERSION}, built for ${hdf5_mpi}")
  foreach(name IN LISTS hdf5_mpi)
    if(found_mpi AND NOT name IN_LIST found_mpi)
      message(FATAL_ERROR "this HDF5 was built for another MPI: it needs ${name}, but the MPI that was found is ${found_mpi}. "
        "HDF5: ${HDF5_C_LIBRARIES}. MPI: ${MPI_C_LIBRARIES}. "
        "Serial HDF5 goes with every MPI (Debian: libhdf5-dev and -DTRIMINE_HDF5=hdf5-serial); "
        "-DTRIMINE_HDF5=NAME chooses another one by pkg-config's name, -DMPI_C_COMPILER=WRAPPER another MPI")
    endif()
  endforeach()
else()
  message(STATUS "HDF5: ${HDF5_VERSION}, serial")
endif()
