# find_package(trimine): the target trimine::trimine. Needs the language C, also from C++.
include(CMakeFindDependencyMacro)
find_dependency(MPI 3.1 COMPONENTS C)
find_dependency(OpenMP COMPONENTS C)
find_dependency(PkgConfig)
pkg_check_modules(JANSSON REQUIRED QUIET IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED QUIET IMPORTED_TARGET libxxhash)
include(${CMAKE_CURRENT_LIST_DIR}/trimine-targets.cmake)
