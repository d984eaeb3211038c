# The build rules that every folder shares: one way to declare a library, a test, a fuzz target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(HOLDFAST_WERROR "Warnings are errors" ON)
option(HOLDFAST_FUZZ "Build libFuzzer targets (clang)" OFF)

find_program(HOLDFAST_CCACHE ccache)
if(HOLDFAST_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${HOLDFAST_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HOLDFAST_CCACHE})
endif()

add_library(holdfast_options INTERFACE)
target_include_directories(holdfast_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(holdfast_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  # Table rows name only the fields that differ from their defaults (STYLE 22).
  -Wno-missing-field-initializers)
if(HOLDFAST_WERROR)
  target_compile_options(holdfast_options INTERFACE -Werror)
endif()
find_program(HOLDFAST_MOLD mold)
if(HOLDFAST_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(holdfast_options INTERFACE -fuse-ld=mold)
endif()

# A static library's private packages are linked by whoever uses it, in any folder.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# holdfast_library(name HEADERS h… SOURCES cc… PUBLIC lib… PRIVATE lib…)
# HEADERS are the folder's public headers; PUBLIC and PRIVATE are the only things it may link.
function(holdfast_library name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC)
  target_sources(${name}
    PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS}
    PRIVATE ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC holdfast_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# holdfast_test(name SOURCES cc… LIBRARIES lib… [LABELS label…] [TIMEOUT s])
# A doctest program; each TEST_CASE becomes a ctest of its own.
function(holdfast_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 3")
  endif()
  # An empty list would swallow the property after it.
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/doctest_main.cc)
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} doctest::doctest holdfast_options)
  target_compile_definitions(${name} PRIVATE HOLDFAST_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    HOLDFAST_BINARY_DIR="${PROJECT_BINARY_DIR}")
  doctest_discover_tests(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    SKIP_REGULAR_EXPRESSION "SKIPPED: ")
endfunction()

# holdfast_fuzz(name SOURCES cc… LIBRARIES lib…): a libFuzzer target in the fuzz preset; the unit
# suite replays the seeds through the same entry point in every preset. Wherever it is declared, the
# program lies in BUILD/fuzzers and the target `fuzzers` builds it: ops/fuzz misses none.
function(holdfast_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(HOLDFAST_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} holdfast_options)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    set_target_properties(${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzzers)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    add_dependencies(fuzzers ${name})
  endif()
endfunction()
