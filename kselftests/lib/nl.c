// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ktap.h"
#include "nl.h"

static __thread int nl_fd = -1;
static __thread u32 nl_seq;

void nl_start(struct nl_req *req, int type, int flags, const void *head,
	      size_t len)
{
	memset(req, 0, sizeof(*req));
	req->nlh.nlmsg_len = NLMSG_LENGTH(len);
	req->nlh.nlmsg_type = (u16)type;
	req->nlh.nlmsg_flags = (u16)(NLM_F_REQUEST | NLM_F_ACK | flags);
	memcpy(NLMSG_DATA(&req->nlh), head, len);
}

struct rtattr *nl_put(struct nl_req *req, int type, const void *data,
		      size_t len)
{
	size_t at = NLMSG_ALIGN(req->nlh.nlmsg_len);
	struct rtattr *rta = (struct rtattr *)((char *)req + at);

	if (at + RTA_SPACE(len) > sizeof(*req))
		ktap_bail("netlink request too large");
	rta->rta_type = (u16)type;
	rta->rta_len = (u16)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(rta), data, len);
	req->nlh.nlmsg_len = (u32)(at + RTA_ALIGN(rta->rta_len));
	return rta;
}

void nl_put_u32(struct nl_req *req, int type, u32 value)
{
	nl_put(req, type, &value, sizeof(value));
}

void nl_put_str(struct nl_req *req, int type, const char *str)
{
	nl_put(req, type, str, strlen(str) + 1);
}

struct rtattr *nl_nest(struct nl_req *req, int type)
{
	return nl_put(req, type, NULL, 0);
}

void nl_nest_end(struct nl_req *req, struct rtattr *nest)
{
	nest->rta_len = (u16)((char *)req + req->nlh.nlmsg_len -
				   (char *)nest);
}

void nl_forget(void)
{
	if (nl_fd >= 0)
		close(nl_fd);
	nl_fd = -1;
}

int nl_socket(void)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };

	if (nl_fd >= 0)
		return nl_fd;
	nl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl_fd < 0)
		ktap_bail("netlink socket: %s", strerror(errno));
	if (bind(nl_fd, (struct sockaddr *)&self, sizeof(self)))
		ktap_bail("netlink bind: %s", strerror(errno));
	return nl_fd;
}

/* One datagram may hold several messages. True once the answer is complete. */
static bool nl_digest(const struct nlmsghdr *nlh, size_t left, int *err,
		      nl_answer_fn answer, void *arg)
{
	for (; NLMSG_OK(nlh, left); nlh = NLMSG_NEXT(nlh, left)) {
		if (nlh->nlmsg_seq != nl_seq)
			continue;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			*err = ((const struct nlmsgerr *)NLMSG_DATA(nlh))->error;
			return true;
		}
		if (nlh->nlmsg_type == NLMSG_DONE)
			return true;
		if (answer)
			answer(nlh, arg);
	}
	return false;
}

int nl_talk(struct nl_req *req, nl_answer_fn answer, void *arg)
{
	static __thread union {
		struct nlmsghdr nlh;
		char bytes[32768];
	} buf;
	int fd = nl_socket();
	ssize_t got;
	int err = 0;

	req->nlh.nlmsg_seq = ++nl_seq;
	if (send(fd, req, req->nlh.nlmsg_len, 0) < 0)
		ktap_bail("netlink send: %s", strerror(errno));
	do {
		do {
			got = recv(fd, &buf, sizeof(buf), 0);
		} while (got < 0 && errno == EINTR);
		if (got < 0)
			ktap_bail("netlink recv: %s", strerror(errno));
	} while (!nl_digest(&buf.nlh, (size_t)got, &err, answer, arg));
	return err;
}

static const struct rtattr *find(const struct rtattr *rta, size_t left,
				 int type)
{
	for (; RTA_OK(rta, left); rta = RTA_NEXT(rta, left))
		if ((rta->rta_type & NLA_TYPE_MASK) == type)
			return rta;
	return NULL;
}

const struct rtattr *nl_find(const struct nlmsghdr *nlh, size_t skip, int type)
{
	const char *at = (const char *)nlh + NLMSG_SPACE(skip);
	size_t left = nlh->nlmsg_len - NLMSG_SPACE(skip);

	return find((const struct rtattr *)at, left, type);
}

const struct rtattr *nl_find_in(const struct rtattr *nest, int type)
{
	return find(RTA_DATA(nest), RTA_PAYLOAD(nest), type);
}
