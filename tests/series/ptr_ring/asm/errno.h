/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the kernel's: the errors that a ring knows. */
#ifndef SHIM_ASM_ERRNO_H
#define SHIM_ASM_ERRNO_H

#define ENOMEM 12
#define EINVAL 22
#define ENOSPC 28

#endif
