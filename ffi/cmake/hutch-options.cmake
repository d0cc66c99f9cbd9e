# Options of llama.cpp and ggml that are the same in every build of hutch. What differs between
# builds (CPU variants, GPU backends, version texts) comes from scripts/build/plan.ts.

# Backends are shared objects of their own, chosen when the program runs.
set(BUILD_SHARED_LIBS ON CACHE BOOL "" FORCE)
set(GGML_BACKEND_DL ON CACHE BOOL "" FORCE)
set(GGML_RPC ON CACHE BOOL "" FORCE)

# ggml refuses GGML_NATIVE beside GGML_BACKEND_DL. HUTCH_NATIVE is the same for one CPU backend: no
# instruction set is asked for here, and hutch_compile_for_this_cpu adds all that this CPU has.
option(HUTCH_NATIVE "One CPU backend, for the CPU of this machine alone" OFF)
set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
if(HUTCH_NATIVE AND NOT MSVC)
  foreach(feature SSE42 AVX AVX2 BMI2 FMA F16C)
    set(GGML_${feature} OFF CACHE BOOL "" FORCE)
  endforeach()
endif()

# libgomp is missing on many fresh servers. ggml's own thread pool needs nothing, and hutch keeps
# one per runner, as llama-bench and llama-server do (figures: docs/building.md).
set(GGML_OPENMP OFF CACHE BOOL "" FORCE)

# A BLAS found by chance on the building machine would be needed on the user's too.
if(NOT APPLE)
  set(GGML_BLAS OFF CACHE BOOL "" FORCE)
endif()

# Nor would NCCL, which only several GPUs of CUDA have a use for.
set(GGML_CUDA_NCCL OFF CACHE BOOL "" FORCE)

# Downloads, video and TLS are not llama.cpp's job here.
set(LLAMA_OPENSSL OFF CACHE BOOL "" FORCE)
set(LLAMA_SUBPROCESS OFF CACHE BOOL "" FORCE)
set(MTMD_VIDEO OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_UI OFF CACHE BOOL "" FORCE)
set(LLAMA_USE_PREBUILT_UI OFF CACHE BOOL "" FORCE)

# The pin is a release; without this the version says "-dev".
set(LLAMA_BUILD_IS_DEV OFF CACHE BOOL "" FORCE)
set(LLAMA_ALL_WARNINGS OFF CACHE BOOL "" FORCE)

set(LLAMA_BUILD_COMMON ON CACHE BOOL "" FORCE)
set(LLAMA_BUILD_MTMD ON CACHE BOOL "" FORCE)
set(LLAMA_BUILD_TOOLS ${HUTCH_PEERS} CACHE BOOL "" FORCE)
set(LLAMA_BUILD_SERVER ${HUTCH_PEERS} CACHE BOOL "" FORCE)
set(LLAMA_BUILD_TESTS OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_EXAMPLES OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_APP OFF CACHE BOOL "" FORCE)

# Libraries find each other beside themselves, wherever they are unpacked.
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
if(APPLE)
  set(CMAKE_INSTALL_RPATH "@loader_path")
  set(CMAKE_MACOSX_RPATH ON)
else()
  set(CMAKE_INSTALL_RPATH "$ORIGIN")
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# Assertions name their file: without the folder of the machine that built it.
if(NOT MSVC)
  add_compile_options("-fmacro-prefix-map=${HUTCH_LLAMA_DIR}/=llama.cpp/")
endif()

# Nothing shipped carries symbols that only a debugger reads.
option(HUTCH_STRIP "Leave out symbols that only a debugger needs" ON)
if(HUTCH_STRIP AND NOT MSVC)
  if(APPLE)
    add_link_options(-Wl,-x)
  else()
    add_link_options(-Wl,--strip-all)
  endif()
endif()
