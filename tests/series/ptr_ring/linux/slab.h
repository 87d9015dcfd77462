/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the kernel's: an allocator that sees what is written outside of an array. */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/types.h>
#include "../shim.h"

#define GFP_KERNEL 1u
#define __GFP_ZERO 2u
#define KMALLOC_MAX_SIZE (4096 * 1024ul)

#define kmalloc_array_noprof(n, size, gfp) shim_alloc(n, size, (gfp) & __GFP_ZERO)
#define kvmalloc_array_noprof(n, size, gfp) shim_alloc(n, size, (gfp) & __GFP_ZERO)
#define kfree(array) shim_free(array)
#define kvfree(array) shim_free(array)
#define alloc_hooks(call) (call)

#endif
