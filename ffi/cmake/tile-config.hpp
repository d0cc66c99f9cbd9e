// Included before ggml's AMX products (ggml-cpu/amx/mmq.cpp). GCC's _tile_loadconfig tells the compiler of the first
// 8 bytes of a configuration alone, so that it leaves out the others' values: an AMX product then ends the process
// with SIGILL. Here all 64 bytes are named.
#pragma once

#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

static inline void hutch_tile_loadconfig(const void * config) {
    struct bytes {
        char all[64];
    };
    __asm__ volatile("ldtilecfg\t%0" ::"m"(*static_cast<const bytes *>(config)));
}

#define _tile_loadconfig hutch_tile_loadconfig
#endif
