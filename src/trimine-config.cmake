# find_package(trimine): the targets trimine::trimine, the shared library (unless it was not built), and
# trimine::trimine_static, where all that it needs is found. Needs the language C, also from C++.
include(CMakeFindDependencyMacro)
find_dependency(MPI 3.1 COMPONENTS C)
include(${CMAKE_CURRENT_LIST_DIR}/trimine-targets.cmake OPTIONAL)

find_package(OpenMP QUIET COMPONENTS C)
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(JANSSON QUIET IMPORTED_TARGET jansson)
  pkg_check_modules(XXHASH QUIET IMPORTED_TARGET libxxhash)
endif()
if(TARGET OpenMP::OpenMP_C AND TARGET PkgConfig::JANSSON AND TARGET PkgConfig::XXHASH)
  include(${CMAKE_CURRENT_LIST_DIR}/trimine-static-targets.cmake)
elseif(NOT TARGET trimine::trimine)
  set(trimine_FOUND FALSE)
  set(trimine_NOT_FOUND_MESSAGE "only the static library is installed, and it needs OpenMP, and jansson and libxxhash by pkg-config")
endif()
