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

if(NOT TRIMINE_HDF5)
  find_package(HDF5 1.10 COMPONENTS C)
endif()
if(NOT HDF5_FOUND)
  # Also where FindHDF5 gives up: h5cc fails in a folder with a space in its name.
  set(names hdf5 hdf5-serial hdf5-mpi)
  if(TRIMINE_HDF5)
    set(names ${TRIMINE_HDF5})
  endif()
  list(TRANSFORM names APPEND ">=1.10")
  pkg_search_module(HDF5_PC QUIET ${names})
  if(NOT HDF5_PC_FOUND AND TRIMINE_HDF5)
    message(FATAL_ERROR "TRIMINE_HDF5=${TRIMINE_HDF5}: pkg-config does not know it, or it is older than HDF5 1.10")
  elseif(NOT HDF5_PC_FOUND)
    message(FATAL_ERROR "trimine needs HDF5 1.10, serial or parallel. Debian: libhdf5-dev")
  endif()
  set(HDF5_INCLUDE_DIRS ${HDF5_PC_INCLUDE_DIRS})
  set(HDF5_C_LIBRARIES ${HDF5_PC_LINK_LIBRARIES})
  set(HDF5_VERSION ${HDF5_PC_VERSION})
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
