# SPDX-License-Identifier: MIT

# idempo_project_options: warnings and sanitizers of our own targets. Linked PRIVATE, so nobody inherits them.
add_library(idempo_project_options INTERFACE)

target_compile_options(
    idempo_project_options
    INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${IDEMPO_WARNINGS_AS_ERRORS}>:-Werror>
)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes the inactive members of std::variant and std::optional for uninitialised reads when it optimises.
    target_compile_options(idempo_project_options INTERFACE -Wno-maybe-uninitialized)
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # GCC bug 105651: GCC reports that "literal" + std::string overlaps itself, is longer than any object, or
        # reaches beyond it, as one of three warnings. The sanitizers and clang find the real ones.
        target_compile_options(
            idempo_project_options INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
        )
    endif()
endif()

if(IDEMPO_SANITIZE)
    target_compile_options(
        idempo_project_options
        INTERFACE -fsanitize=${IDEMPO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    )
    target_link_options(idempo_project_options INTERFACE -fsanitize=${IDEMPO_SANITIZE})
    # Bounds checks of operator[], front() and the like; they do not change the layout of anything.
    target_compile_definitions(idempo_project_options INTERFACE _GLIBCXX_ASSERTIONS)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Asio's coroutine frames go through its own operator new; once instrumented, GCC no longer sees the pair.
        target_compile_options(idempo_project_options INTERFACE -Wno-mismatched-new-delete)
        if(IDEMPO_SANITIZE MATCHES "thread")
            # Boost uses std::atomic_thread_fence, which GCC's TSan does not model. We cannot change that.
            target_compile_options(idempo_project_options INTERFACE -Wno-tsan)
        endif()
    endif()
endif()
