# hutch's own products of matrices and attention (kernels/), as part of ggml's CPU backends for x86: they take
# the place of llamafile_sgemm, which ggml asks before it uses its general product, and of ggml's flash
# attention, and pass on to ggml's own, which are compiled unchanged under other names.
function(hutch_add_kernels targets)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
    return()
  endif()
  set(cpu "${HUTCH_LLAMA_DIR}/ggml/src/ggml-cpu")
  set(tile_config "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/tile-config.hpp")
  file(GLOB kernels CONFIGURE_DEPENDS "${HUTCH_FFI_DIR}/kernels/*.cpp")
  foreach(target IN LISTS targets)
    if(NOT target MATCHES "^ggml-cpu(-|$)")
      continue()
    endif()
    target_sources(${target} PRIVATE ${kernels})
    target_include_directories(${target} PRIVATE "${cpu}/llamafile")
    set_source_files_properties("${cpu}/llamafile/sgemm.cpp" TARGET_DIRECTORY ${target}
      PROPERTIES COMPILE_DEFINITIONS llamafile_sgemm=hutch_ggml_sgemm)
    if(NOT MSVC)
      set_source_files_properties("${cpu}/amx/mmq.cpp" TARGET_DIRECTORY ${target}
        PROPERTIES COMPILE_OPTIONS "-include;${tile_config}")
    endif()
    set_source_files_properties("${cpu}/ops.cpp" TARGET_DIRECTORY ${target}
      PROPERTIES COMPILE_DEFINITIONS ggml_compute_forward_flash_attn_ext=hutch_ggml_flash_attn_ext)
  endforeach()
endfunction()
