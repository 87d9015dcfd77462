/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's short names, outside the kernel. */
#ifndef KSERIES_TYPES_H
#define KSERIES_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define KST_ATTR(...) __attribute__((__VA_ARGS__))
#define __printf(a, b) KST_ATTR(__format__(__printf__, a, b))
#define __noreturn KST_ATTR(__noreturn__)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define min(a, b) ({ \
	__typeof__(a) _a = (a); \
	__typeof__(b) _b = (b); \
	_a < _b ? _a : _b; \
})
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max(a, b) ({ \
	__typeof__(a) _a = (a); \
	__typeof__(b) _b = (b); \
	_a > _b ? _a : _b; \
})

#endif
