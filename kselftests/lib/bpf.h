/* SPDX-License-Identifier: GPL-2.0-only */
/* eBPF by the bare system call. Whatever fails in here bails out. */
#ifndef KSERIES_BPF_H
#define KSERIES_BPF_H

#include <linux/bpf.h>

#include "types.h"

/* One instruction of a program, by its parts. */
#define BPF_INSN(c, d, s, o, i) ((struct bpf_insn) { \
	.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define BPF_SET(reg, value) BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value)
#define BPF_COPY(to, from) BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define BPF_HELPER(id) BPF_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define BPF_RETURN() BPF_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Half a word of the frame, into R0; the context has to be in R6. */
#define BPF_FRAME_U16(at) BPF_INSN(BPF_LD | BPF_ABS | BPF_H, 0, 0, 0, at)
/* A map takes two instructions: the second one has to follow the first. */
#define BPF_MAP(reg, fd) \
	BPF_INSN(BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_FD, 0, fd)
#define BPF_MAP_HIGH() BPF_INSN(0, 0, 0, 0, 0)

/* An XDP program that sends all it sees out of @dev; returns its descriptor. */
int bpf_redirect_to(const char *dev);
/* One that sends it out where it came in (XDP_TX). */
int bpf_send_back(void);
/* The core has bulks of so many for a driver (DEV_MAP_BULK_SIZE). */
#define BPF_BULK 16U
/* Have it see @n frames at a time, whole bulks of which go to the driver in one call. */
void bpf_xdp_run(int prog, const void *frame, size_t len, unsigned int n);
/* What a device receives, before an skb is made of it. */
void bpf_xdp_attach(const char *dev, int prog);
/*
 * tun chooses a frame's queue by its source port: @first goes to queue 0, the
 * next one to queue 1, and again from 0 after the last one.
 */
void bpf_steer_by_port(int tun_fd, bool ether, u16 first);
/* What a tun or tap device asks how much of a frame to keep, on its way out. */
void bpf_filter(int tun_fd, const struct bpf_insn *insn, unsigned int n);
/* A filter that takes its time over each frame on its way to the ring. */
void bpf_slow_filter(int tun_fd);

#endif
