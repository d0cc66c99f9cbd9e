# Looks at the targets that llama.cpp made.

# Appends every shared or module library below `folder` to hutch_libraries in the caller's scope.
function(hutch_collect_targets folder)
  get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "SHARED_LIBRARY" OR type STREQUAL "MODULE_LIBRARY")
      list(APPEND hutch_libraries ${target})
    endif()
  endforeach()
  get_property(folders DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
  foreach(below IN LISTS folders)
    hutch_collect_targets("${below}")
  endforeach()
  set(hutch_libraries "${hutch_libraries}" PARENT_SCOPE)
endfunction()

# Libraries are named plainly (libllama.so), without version links: files inside the executable
# cannot be links, and the folder they are unpacked to is versioned as a whole.
function(hutch_drop_library_versions targets)
  foreach(target IN LISTS targets)
    set_property(TARGET ${target} PROPERTY VERSION)
    set_property(TARGET ${target} PROPERTY SOVERSION)
  endforeach()
endfunction()

# The single CPU backend gets every instruction of this machine's CPU; its feature check, a target of
# its own, stays portable.
function(hutch_compile_for_this_cpu)
  if(MSVC)
    return()
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
    target_compile_options(ggml-cpu PRIVATE -march=native)
  else()
    target_compile_options(ggml-cpu PRIVATE -mcpu=native)
  endif()
endfunction()
