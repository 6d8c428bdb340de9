# Flags that every target of the project shares: warnings, sanitizers, and the libraries found once.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)  # headers only: Asio, Beast's HTTP parser, unordered
find_package(simdjson REQUIRED)

add_library(mpr_flags INTERFACE)
target_include_directories(mpr_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(mpr_flags INTERFACE Threads::Threads)
target_compile_options(mpr_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -fno-omit-frame-pointer)
if(MPR_WERROR)
  target_compile_options(mpr_flags INTERFACE -Werror)
endif()
if(MPR_SANITIZE)
  target_compile_options(mpr_flags INTERFACE -fsanitize=${MPR_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(mpr_flags INTERFACE -fsanitize=${MPR_SANITIZE})
endif()
if(MPR_FUZZ)
  target_compile_options(mpr_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  find_program(MPR_LLD NAMES ld.lld-19 ld.lld)
  if(MPR_LLD)
    target_link_options(mpr_flags INTERFACE --ld-path=${MPR_LLD})
  endif()
endif()

# Boost is used without its compiled parts and without deprecated names.
add_library(mpr_boost INTERFACE)
target_include_directories(mpr_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_compile_definitions(mpr_boost INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE BOOST_ERROR_CODE_HEADER_ONLY)

# mpr_library(name SOURCES ... LINK ...): one folder of src/, linked to exactly the folders it may include.
function(mpr_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC mpr_flags ${ARG_LINK})
endfunction()
