/* SPDX-License-Identifier: GPL-2.0-only */
/* Just enough rtnetlink: build one request, get its answers and its ack. */
#ifndef KSERIES_NL_H
#define KSERIES_NL_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "types.h"

struct nl_req {
	struct nlmsghdr nlh;
	char body[2032];
};

typedef void (*nl_answer_fn)(const struct nlmsghdr *nlh, void *arg);

void nl_start(struct nl_req *req, int type, int flags, const void *head,
	      size_t len);
struct rtattr *nl_put(struct nl_req *req, int type, const void *data,
		      size_t len);
void nl_put_u32(struct nl_req *req, int type, u32 value);
void nl_put_str(struct nl_req *req, int type, const char *str);
struct rtattr *nl_nest(struct nl_req *req, int type);
void nl_nest_end(struct nl_req *req, struct rtattr *nest);
/* This thread's socket, made when first asked for; ioctls on devices work, too. */
int nl_socket(void);
/* 0 or the kernel's -errno; trouble with the socket itself bails out. */
int nl_talk(struct nl_req *req, nl_answer_fn answer, void *arg);
/* The socket belongs to the netns it was made in: drop it when that changes. */
void nl_forget(void);
/* First attribute of @type behind a family header of @skip bytes, or NULL. */
const struct rtattr *nl_find(const struct nlmsghdr *nlh, size_t skip, int type);
const struct rtattr *nl_find_in(const struct rtattr *nest, int type);

#endif
