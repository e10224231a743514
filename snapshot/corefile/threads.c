/*
 * Reading what capture noted about threads and process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bytes come from a store and may have come from another machine: sizes are
 * checked before anybody copies them into a fixed field.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "corefile/corefile_internal.h"
#include "memsnap/v1/capture.pb-c.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>

typedef Memsnap__V1__CapturedThread thread_msg;
typedef Memsnap__V1__CapturedThreads threads_msg;
typedef Memsnap__V1__CapturedProcess process_msg;

#define XSTATE_MAX_BYTES 65536
#define SIGINFO_MAX_BYTES 128

static int damaged(const struct msn_core_reader *r, const char *blob)
{
	return msn_failure_set(r->why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "blob %s of the snapshot is not what capture "
			       "writes",
			       blob);
}

/* NULL in *@out when there is no such blob. */
static int read_blob(const struct msn_core_reader *r, const char *name,
		     uint8_t **out, size_t *len)
{
	const struct msn_manifest_blob *b = msn_manifest_blob(r->m, name);

	*out = NULL;
	if (!b)
		return 0;
	return msn_pass(msn_reader_blob(r->reader, b, out, len, r->why));
}

static bool take_regset(const Memsnap__V1__CapturedRegset *m,
			struct msn_core_thread *t)
{
	switch (m->note_type) {
	case NT_PRSTATUS:
		t->gregs = m->data.data;
		return m->data.len == sizeof(struct user_regs_struct);
	case NT_FPREGSET:
		t->fpregs = m->data.data;
		return m->data.len == sizeof(struct user_fpregs_struct);
	case NT_X86_XSTATE:
		t->xstate = m->data.data;
		t->xstate_len = m->data.len;
		return m->data.len <= XSTATE_MAX_BYTES;
	default:
		return true; /* of a later version */
	}
}

static bool take_thread(const thread_msg *m, struct msn_core_thread *t)
{
	*t = (struct msn_core_thread){
		.tid = m->tid,
		.blocked = m->blocked,
		.pending = m->pending,
		.signal = m->signal ? m->signal : m->group_stop,
		.siginfo = m->siginfo.data,
		.siginfo_len = m->siginfo.len,
	};
	for (size_t i = 0; i < m->n_regsets; i++)
		if (!take_regset(m->regsets[i], t))
			return false;
	return t->gregs && t->siginfo_len <= SIGINFO_MAX_BYTES;
}

/* The threads of one blob. */
static int each_of(const struct msn_core_reader *r, const char *blob,
		   const uint8_t *bytes, size_t len, msn_core_thread_fn fn,
		   void *ctx, size_t *number)
{
	threads_msg *m =
		memsnap__v1__captured_threads__unpack(NULL, len, bytes);
	int rc = m ? 0 : damaged(r, blob);

	for (size_t i = 0; rc == 0 && i < m->n_threads; i++) {
		struct msn_core_thread t;

		rc = take_thread(m->threads[i], &t) ? fn(ctx, &t, (*number)++)
						    : damaged(r, blob);
	}
	if (m)
		memsnap__v1__captured_threads__free_unpacked(m, NULL);
	return msn_pass(rc);
}

int msn_core_each_thread(const struct msn_core_reader *r, msn_core_thread_fn fn,
			 void *ctx)
{
	size_t number = 0;

	for (unsigned i = 1;; i++) {
		msn_auto(msn_freep) uint8_t *bytes = NULL;
		char name[32] = "elf/threads";
		size_t len;
		int rc;

		if (i > 1)
			snprintf(name, sizeof(name), "elf/threads.%u", i);
		rc = read_blob(r, name, &bytes, &len);
		if (rc || !bytes)
			return msn_pass(rc);
		rc = each_of(r, name, bytes, len, fn, ctx, &number);
		if (rc)
			return msn_pass(rc);
	}
}

static void take_text(char *out, size_t size, ProtobufCBinaryData text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	memset(out, 0, size);
	if (n)
		memcpy(out, text.data, n);
}

/* Arguments with spaces between, as the kernel writes them. */
static void take_args(char *out, size_t size, ProtobufCBinaryData cmdline)
{
	size_t n;

	while (cmdline.len > 0 && cmdline.data[cmdline.len - 1] == '\0')
		cmdline.len--;
	take_text(out, size, cmdline);
	n = cmdline.len < size - 1 ? cmdline.len : size - 1;
	for (size_t i = 0; i < n; i++)
		if (out[i] == '\0')
			out[i] = ' ';
}

int msn_core_read_process(const struct msn_core_reader *r,
			  struct msn_core_process *out)
{
	static const char name[] = "elf/process";
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	process_msg *m;
	size_t len;
	int rc;

	*out = (struct msn_core_process){ 0 };
	rc = read_blob(r, name, &bytes, &len);
	if (rc || !bytes)
		return msn_pass(rc);
	m = memsnap__v1__captured_process__unpack(NULL, len, bytes);
	if (!m)
		return damaged(r, name);
	*out = (struct msn_core_process){
		.pid = m->pid,
		.ppid = m->ppid,
		.pgrp = m->pgrp,
		.session = m->session,
		.uid = m->uid,
		.gid = m->gid,
		.nice = m->nice,
		.state = *m->state,
		.flags = m->flags,
	};
	take_text(out->fname, sizeof(out->fname), m->comm);
	take_args(out->args, sizeof(out->args), m->cmdline);
	memsnap__v1__captured_process__free_unpacked(m, NULL);
	return 0;
}
