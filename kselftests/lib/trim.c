// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>

#include "bpf.h"
#include "ktap.h"
#include "trim.h"

void trim_attach(int tun_fd)
{
	/* return skb->len - TRIM_BYTES */
	static const struct bpf_insn insn[] = {
		BPF_INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_1,
			 offsetof(struct __sk_buff, len), 0),
		BPF_INSN(BPF_ALU | BPF_SUB | BPF_K, BPF_REG_0, 0, 0, TRIM_BYTES),
		BPF_RETURN(),
	};

	bpf_filter(tun_fd, insn, ARRAY_SIZE(insn));
}

void trim_attach_socket(int tap_fd)
{
	struct sock_filter part[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, TRIM_BYTES),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(part), .filter = part };

	if (ioctl(tap_fd, TUNATTACHFILTER, &prog))
		ktap_bail("TUNATTACHFILTER: %s", strerror(errno));
}
