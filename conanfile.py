# SPDX-License-Identifier: MIT
"""Conan 2: conan create . -o "idempo/*:redis=True" -o "idempo/*:postgres=True" """

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class IdempoConan(ConanFile):
    name = "idempo"
    description = "Idempotency-Key for Boost.Beast services"
    license = "MIT"
    topics = ("http", "idempotency", "beast")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "redis": [True, False],
        "postgres": [True, False],
        "json": [True, False],
    }
    default_options = {"shared": False, "fPIC": True, "redis": False, "postgres": False, "json": False}
    implements = ["auto_shared_fpic"]
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"
    test_package_folder = "packaging/conan/test_package"

    def set_version(self):
        text = load(self, Path(self.recipe_folder) / "include/idempo/version.hpp")
        self.version = ".".join(re.search(rf"version_{part} = (\d+);", text)[1] for part in ("major", "minor", "patch"))

    def export(self):
        # set_version reads it again, from where the recipe has been copied to.
        copy(self, "include/idempo/version.hpp", self.recipe_folder, self.export_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", transitive_headers=True, options={"header_only": True})
        self.requires("openssl/[>=3 <4]")
        if self.options.redis:
            self.requires("hiredis/[>=0.14 <2]")
        if self.options.postgres:
            self.requires("libpqxx/[>=6.4 <9]", transitive_headers=True)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for what in ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_BENCHMARKS", "BUILD_TOOLS"):
            toolchain.cache_variables[f"IDEMPO_{what}"] = False
        toolchain.cache_variables["IDEMPO_INSTALL"] = True
        toolchain.cache_variables["IDEMPO_REDIS"] = bool(self.options.redis)
        toolchain.cache_variables["IDEMPO_POSTGRES"] = bool(self.options.postgres)
        toolchain.cache_variables["IDEMPO_JSON"] = bool(self.options.json)
        # idempo::testing needs Catch2, which this package does not ask for.
        toolchain.cache_variables["CMAKE_DISABLE_FIND_PACKAGE_Catch2"] = True
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, str(Path(self.package_folder) / "licenses"))
        CMake(self).install()

    def package_info(self):
        # The library's own CMake files know its components better than generated ones would.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [str(Path("lib") / "cmake" / "idempo")]
