# SPDX-License-Identifier: MIT

# cmake -D COMPILER=... -D STAGE=... -D SOURCE=... -D PACKAGE=idempo -D OUTPUT=... -P pkg_config.cmake
# Builds and runs a consumer with what pkg-config says, and nothing else: as a makefile would.
file(GLOB_RECURSE found ${STAGE}/${PACKAGE}.pc)
cmake_path(GET found PARENT_PATH directory)
set(ENV{PKG_CONFIG_PATH} ${directory})
execute_process(
    COMMAND pkg-config --cflags --libs ${PACKAGE}
    OUTPUT_VARIABLE flags
    OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY
)
separate_arguments(flags UNIX_COMMAND "${flags}")
set(ENV{LD_LIBRARY_PATH} ${directory}/..) # where the libraries are shared
execute_process(COMMAND ${COMPILER} -std=c++20 -pthread ${SOURCE} -o ${OUTPUT} ${flags} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
