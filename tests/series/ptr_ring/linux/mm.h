/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the kernel's, whose kvmalloc() is in slab.h here. */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <linux/slab.h>

#endif
