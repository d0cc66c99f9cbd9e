# The library `hutch`: the flat C ABI of hutch.h. Only what hutch.h marks HUTCH_API is visible.
add_library(hutch SHARED ${hutch_sources})
target_include_directories(hutch PRIVATE "${HUTCH_FFI_DIR}" "${HUTCH_FFI_DIR}/llguidance")
target_link_libraries(hutch PRIVATE llama-common mtmd llama ggml)

# The constraint engine: a static library of Rust, with what Rust's standard library needs.
target_link_libraries(hutch PRIVATE "${HUTCH_CRATE_LIBRARY}")
if(WIN32)
  target_link_libraries(hutch PRIVATE kernel32 ntdll userenv ws2_32 dbghelp)
elseif(NOT APPLE)
  target_link_libraries(hutch PRIVATE pthread dl m)
  target_link_options(hutch PRIVATE -Wl,--exclude-libs,libhutch_llguidance.a)
endif()
target_compile_features(hutch PRIVATE cxx_std_17)
target_compile_definitions(hutch PRIVATE HUTCH_BUILD)
set_target_properties(hutch PROPERTIES
  CXX_EXTENSIONS OFF
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON)

# Warnings are errors in our own sources; headers of llama.cpp count as system headers, so that
# theirs are not.
foreach(dependency llama-common llama-common-base mtmd llama ggml ggml-base)
  if(TARGET ${dependency})
    target_include_directories(hutch SYSTEM PRIVATE
      $<TARGET_PROPERTY:${dependency},INTERFACE_INCLUDE_DIRECTORIES>)
  endif()
endforeach()
if(MSVC)
  target_compile_options(hutch PRIVATE /W4 /WX /utf-8)
else()
  target_compile_options(hutch PRIVATE -Wall -Wextra -Werror)
endif()
# Instances of templates escape -fvisibility=hidden; the linker is told outright.
if(UNIX AND NOT APPLE)
  set(map "${CMAKE_CURRENT_LIST_DIR}/hutch.map")
  target_link_options(hutch PRIVATE "-Wl,--version-script=${map}" -Wl,--no-undefined)
  set_property(TARGET hutch APPEND PROPERTY LINK_DEPENDS "${map}")
endif()
