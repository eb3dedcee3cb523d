# Run by cpack on the files of each Debian package, before they are packed: adds what Debian wants in the documentation of
# every package (copyright, changelog), and compresses manual pages.
cmake_minimum_required(VERSION 3.25)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)

# The licence in Debian's form: indented, with dots for empty lines.
file(STRINGS ${root}/LICENSE lines)
list(FILTER lines INCLUDE REGEX "^Copyright")
list(TRANSFORM lines REPLACE "^Copyright (\\(c\\) )?" "" OUTPUT_VARIABLE holders)
file(READ ${root}/LICENSE licence)
string(REGEX REPLACE "^.*\nCopyright[^\n]*\n\n" "" licence "${licence}")
string(REGEX REPLACE "\n(\n)" "\n.\n" licence "${licence}")
string(STRIP "${licence}" licence)
string(REPLACE "\n" "\n " licence "${licence}")
set(copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: trimine

Files: *
Copyright: ${holders}
License: Expat
 ${licence}
")

# The date is that of the sources, where it is told (SOURCE_DATE_EPOCH).
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} key)
  set(package ${CPACK_DEBIAN_${key}_PACKAGE_NAME})
  set(share ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}${CPACK_PACKAGING_INSTALL_PREFIX}/share)
  set(doc ${share}/doc/${package})
  file(WRITE ${doc}/copyright "${copyright}")
  file(WRITE ${doc}/changelog.Debian "trimine (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * The packages of version ${CPACK_PACKAGE_VERSION}; what is new in it is in changelog.gz.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}
")
  configure_file(${root}/CHANGELOG.md ${doc}/changelog COPYONLY)
  file(GLOB_RECURSE plain ${share}/man/*.[1-9] ${doc}/changelog ${doc}/changelog.Debian)
  execute_process(COMMAND gzip -9nf ${plain} COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB_RECURSE archives ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/*.a)
  if(archives)
    execute_process(COMMAND strip --strip-debug ${archives} COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
