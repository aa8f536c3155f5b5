# SPDX-License-Identifier: MIT

# cmake -D BUILD=... -D OUTPUT=... -P debian_package.cmake
# Makes the Debian package of a build and unpacks it into a root of its own, OUTPUT/root.
file(REMOVE_RECURSE ${OUTPUT})
execute_process(
    COMMAND ${CMAKE_CPACK_COMMAND} -G DEB -B ${OUTPUT} WORKING_DIRECTORY ${BUILD} COMMAND_ERROR_IS_FATAL ANY
)
file(GLOB package ${OUTPUT}/libidempo-dev_*.deb)
execute_process(COMMAND dpkg-deb --field ${package} Package Version Depends COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND dpkg-deb --extract ${package} ${OUTPUT}/root COMMAND_ERROR_IS_FATAL ANY)
