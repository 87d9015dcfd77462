/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the kernel's: what ptr_ring.h takes from it, and no more. */
#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#define __bitwise

typedef unsigned int __bitwise gfp_t;

#endif
