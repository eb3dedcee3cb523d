# Debian packages, by `cpack -G DEB` in the build's folder or scripts/make_packages: trimine (the program), libtrimineX.Y
# (the shared library; X.Y is what programs look it up by) and libtrimine-dev (to compile and link with either library).
# What an install() rule puts into no component is in the package trimine: manual pages and completion come by themselves.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL trimine dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/package_files.cmake)

# Who built them, by Debian's variables. Without these there is no address to give.
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "the trimine authors")
if(DEFINED ENV{DEBFULLNAME} AND DEFINED ENV{DEBEMAIL})
  set(CPACK_DEBIAN_PACKAGE_MAINTAINER "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)


set(about
  "trimine finds the hard training examples of metric learning in a whole
embedding store: every row of an HDF5 store against every other row, so
that each pair of anchor and positive gets its true semihard negative.
The answer is the same, bit for bit, on any number of MPI ranks.
")

# A package of the component KEY (in capitals): its name, section, what it depends on, and what is in it.
macro(trimine_package key name section depends contents)
  string(REPLACE ";" ", " joined "${depends}")
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "${joined}")
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${about}\n${contents}")
endmacro()

# trimine_owners(files result): the Debian packages that hold files. A file may be a link that is in none (alternatives).
function(trimine_owners files result)
  set(owners "")
  foreach(file IN LISTS files)
    set(unknown 1)
    while(unknown AND EXISTS "${file}")
      execute_process(COMMAND dpkg-query -S ${file} OUTPUT_VARIABLE line ERROR_QUIET RESULT_VARIABLE unknown)
      if(NOT unknown)
        string(REGEX REPLACE "[:,].*" "" owner "${line}")
        list(APPEND owners ${owner})
      elseif(IS_SYMLINK ${file})
        cmake_path(GET file PARENT_PATH folder)
        file(READ_SYMLINK ${file} file)
        cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${folder} NORMALIZE)
      else()
        break()
      endif()
    endwhile()
  endforeach()
  list(REMOVE_DUPLICATES owners)
  list(SORT owners)
  set(${result} "${owners}" PARENT_SCOPE)
endfunction()

# Which mpirun goes with the program is told by the MPI library.
trimine_owners("${MPI_C_LIBRARIES}" needed)
set(launcher openmpi-bin)
if(needed MATCHES "mpich")
  set(launcher mpich)
endif()
trimine_package(TRIMINE trimine science ${launcher} "This package has the program.")
set(CPACK_DEBIAN_TRIMINE_PACKAGE_RECOMMENDS "python3-h5py, python3-numpy")

# What the static library is linked with is linked by those who link it.
trimine_owners("${inside};${JANSSON_LINK_LIBRARIES};${XXHASH_LINK_LIBRARIES}" needed)
if(TRIMINE_SHARED)
  get_target_property(abi libtrimine_shared SOVERSION)
  list(APPEND CPACK_COMPONENTS_ALL library)
  trimine_package(LIBRARY libtrimine${abi} libs "" "This package has the shared library.")
  file(WRITE ${CMAKE_BINARY_DIR}/package/triggers "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/package/triggers)
  list(PREPEND needed "libtrimine${abi} (= ${PROJECT_VERSION}-1)")
endif()
trimine_package(DEV libtrimine-dev libdevel "${needed}"
                "This package has headers, the static library, and what pkg-config and\nCMake need to find both libraries.")

install(DIRECTORY slurm DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(FILES tests/example/CMakeLists.txt tests/example/mine_queries.c tests/example/mine_store.c
              tests/example/spread_vectors.cpp tests/example/train_linear.c
        DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/libtrimine-dev/examples COMPONENT dev)
include(CPack)
