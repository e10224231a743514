/*
 * Notes of a core file, in the order in which Linux writes them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    NT_PRSTATUS                of the first thread
 *    NT_PRPSINFO NT_SIGINFO NT_AUXV NT_FILE
 *    NT_FPREGSET NT_X86_XSTATE  of the first thread
 *    NT_PRSTATUS NT_FPREGSET NT_X86_XSTATE of every other
 *
 * Layout of the structures: elf_prstatus and elf_prpsinfo of <sys/procfs.h>,
 * which are those of the kernel for x86-64.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "corefile/corefile_internal.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/procfs.h>

#ifndef NT_SIGINFO
#define NT_SIGINFO 0x53494749
#endif
#ifndef NT_FILE
#define NT_FILE 0x46494c45
#endif

static int note_head(struct msn_core_out *o, const char *name, uint32_t type,
		     size_t len)
{
	const Elf64_Nhdr head = { .n_namesz = (Elf64_Word)strlen(name) + 1,
				  .n_descsz = (Elf64_Word)len,
				  .n_type = type };
	int rc;

	if (len > UINT32_MAX)
		return msn_fail(-EFBIG);
	rc = msn_core_out_write(o, &head, sizeof(head));
	if (rc == 0)
		rc = msn_core_out_write(o, name, head.n_namesz);
	return rc ? msn_pass(rc) : msn_core_out_align(o, 4);
}

static int note(struct msn_core_out *o, const char *name, uint32_t type,
		const void *data, size_t len)
{
	int rc = note_head(o, name, type, len);

	if (rc == 0)
		rc = msn_core_out_write(o, data, len);
	return rc ? msn_pass(rc) : msn_core_out_align(o, 4);
}

struct notes {
	struct msn_core_out *o;
	const struct msn_core_reader *r;
	struct msn_core_process process;
	uint64_t threads;
};

/* ---- Process ------------------------------------------------------------- */

/* The kernel's number for a state is its place in this list. */
static char state_number(char state)
{
	static const char states[] = "RSDTZW";
	const char *at = state ? strchr(states, state) : NULL;

	return (char)(at ? at - states : 0);
}

static int write_prpsinfo(const struct notes *n)
{
	const struct msn_core_process *p = &n->process;
	struct elf_prpsinfo info = {
		.pr_state = state_number(p->state),
		.pr_sname = p->state,
		.pr_zomb = p->state == 'Z',
		.pr_nice = (char)p->nice,
		.pr_flag = p->flags,
		.pr_uid = p->uid,
		.pr_gid = p->gid,
		.pr_pid = p->pid,
		.pr_ppid = p->ppid,
		.pr_pgrp = p->pgrp,
		.pr_sid = p->session,
	};

	_Static_assert(sizeof(info.pr_fname) == sizeof(p->fname), "fname");
	_Static_assert(sizeof(info.pr_psargs) == sizeof(p->args), "args");
	memcpy(info.pr_fname, p->fname, sizeof(info.pr_fname));
	memcpy(info.pr_psargs, p->args, sizeof(info.pr_psargs));
	return msn_pass(note(n->o, "CORE", NT_PRPSINFO, &info, sizeof(info)));
}

static int write_auxv(const struct notes *n)
{
	const struct msn_manifest_blob *b =
		msn_manifest_blob(n->r->m, "elf/auxv");
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	size_t len;
	int rc;

	if (!b)
		return 0;
	rc = msn_reader_blob(n->r->reader, b, &bytes, &len, n->r->why);
	if (rc || len == 0)
		return msn_pass(rc);
	return msn_pass(note(n->o, "CORE", NT_AUXV, bytes, len));
}

/* ---- Mapped files -------------------------------------------------------- */

/* Whatever maps shows with a path: files, shared memory, deleted ones. */
static bool has_path(const struct msn_manifest_mapping *v)
{
	return *v->name == '/';
}

struct file_entry {
	uint64_t start, end, page; /* offset in pages */
};

static int write_file_table(const struct notes *n)
{
	const struct msn_manifest *m = n->r->m;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &m->mappings[i];
		const struct file_entry e = { v->start, v->end,
					      v->offset / MSN_PAGE_SIZE };

		if (has_path(v))
			rc = msn_core_out_write(n->o, &e, sizeof(e));
	}
	for (size_t i = 0; rc == 0 && i < m->mapping_count; i++) {
		const char *name = m->mappings[i].name;

		if (has_path(&m->mappings[i]))
			rc = msn_core_out_write(n->o, name, strlen(name) + 1);
	}
	return rc ? msn_pass(rc) : msn_core_out_align(n->o, 4);
}

static int write_files(const struct notes *n)
{
	const struct msn_manifest *m = n->r->m;
	uint64_t head[2] = { 0, MSN_PAGE_SIZE };
	size_t len = sizeof(head);
	int rc;

	for (size_t i = 0; i < m->mapping_count; i++) {
		if (!has_path(&m->mappings[i]))
			continue;
		head[0]++;
		len += sizeof(struct file_entry) + strlen(m->mappings[i].name) +
		       1;
	}
	if (head[0] == 0)
		return 0;
	rc = note_head(n->o, "CORE", NT_FILE, len);
	if (rc == 0)
		rc = msn_core_out_write(n->o, head, sizeof(head));
	return rc ? msn_pass(rc) : msn_pass(write_file_table(n));
}

/* ---- Threads ------------------------------------------------------------- */

static int write_prstatus(const struct notes *n,
			  const struct msn_core_thread *t)
{
	struct elf_prstatus status = {
		.pr_info.si_signo = t->signal,
		.pr_cursig = (short)t->signal,
		.pr_sigpend = t->pending,
		.pr_sighold = t->blocked,
		.pr_pid = t->tid,
		.pr_ppid = n->process.ppid,
		.pr_pgrp = n->process.pgrp,
		.pr_sid = n->process.session,
		.pr_fpvalid = t->fpregs != NULL,
	};

	memcpy(&status.pr_reg, t->gregs, sizeof(status.pr_reg));
	return msn_pass(
		note(n->o, "CORE", NT_PRSTATUS, &status, sizeof(status)));
}

static int write_process(const struct notes *n, const struct msn_core_thread *t)
{
	int rc = write_prpsinfo(n);

	if (rc == 0 && t && t->siginfo_len)
		rc = note(n->o, "CORE", NT_SIGINFO, t->siginfo, t->siginfo_len);
	if (rc == 0)
		rc = write_auxv(n);
	return rc ? msn_pass(rc) : msn_pass(write_files(n));
}

static int write_thread(void *ctx, const struct msn_core_thread *t,
			size_t number)
{
	struct notes *n = ctx;
	int rc = write_prstatus(n, t);

	n->threads++;
	if (rc == 0 && number == 0)
		rc = write_process(n, t);
	if (rc == 0 && t->fpregs)
		rc = note(n->o, "CORE", NT_FPREGSET, t->fpregs, 512);
	if (rc == 0 && t->xstate_len)
		rc = note(n->o, "LINUX", NT_X86_XSTATE, t->xstate,
			  t->xstate_len);
	return msn_pass(rc);
}

int msn_core_write_notes(struct msn_core_out *o,
			 const struct msn_core_reader *r,
			 uint64_t *thread_count)
{
	struct notes n = { .o = o, .r = r };
	int rc = msn_core_read_process(r, &n.process);

	if (rc == 0)
		rc = msn_core_each_thread(r, write_thread, &n);
	if (rc == 0 && n.threads == 0)
		rc = write_process(&n, NULL);
	*thread_count = n.threads;
	return msn_pass(rc);
}
