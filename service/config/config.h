/*
 * Config: everything that memsnapd can be told.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Settings are one table (msn_config_settings()), and the files, the
 * environment, the command line, --help, --print-config and memsnapd.conf(5)
 * are made from it or held to it.  A setting has a section and a name, and is
 * called "listen.tcp" here, [listen] tcp = in a file, MEMSNAPD_LISTEN_TCP in
 * the environment and --listen-tcp on the command line.
 *
 * Sources, each replacing what those before it said:
 *
 *    1. the table's own value
 *    2. /usr/lib/memsnap/memsnapd.conf
 *    3. /etc/memsnap/memsnapd.conf
 *    4. memsnapd.conf.d, *.conf, beside both, by name; of two with one name
 *       that in /etc counts, and nothing of the other
 *    5. MEMSNAPD_* in the environment
 *    6. flags
 *
 * With --config FILE, FILE stands for 2 and 3, and FILE.d for the folders of 4.
 *
 * Lists.  The elements of one source add up, be they separated by commas or on
 * several lines; together they replace the list of the sources before.  An
 * empty value takes back what its own source has said so far, so alone it makes
 * the list empty.  \, and \\ and "\ " stand for a comma, a backslash and a
 * blank inside an element.  What is no list and is set twice has the later one.
 *
 * A configuration is whole: every value of every source is checked, also one
 * that a later source replaces, and unless all are good there is none.  It is
 * not changed any more then; who holds a reference may read it in any thread.
 */
#ifndef MSN_CONFIG_CONFIG_H
#define MSN_CONFIG_CONFIG_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "log/log.h"
#include "wire/role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* A limit that is none: "unlimited". */
#define MSN_CONFIG_UNLIMITED UINT64_MAX
/* A group that is none: "". */
#define MSN_CONFIG_NO_GROUP ((gid_t)-1)

/* ---- What there is to set ----------------------------------------------- */

struct msn_config_paths {
	char **at;
	size_t count;
};

/* Where to listen: a socket's path, or else an address. */
struct msn_config_address {
	char *path;
	struct sockaddr_storage sa;
	socklen_t sa_len;
};
struct msn_config_addresses {
	struct msn_config_address *at;
	size_t count;
};

enum msn_config_subject_kind {
	MSN_CONFIG_ANY = 1, /* whoever comes by a Unix socket */
	MSN_CONFIG_UID,	    /* "uid:N", "user:NAME" */
	MSN_CONFIG_GID,	    /* "gid:N", "group:NAME" */
	MSN_CONFIG_URI,	    /* of a certificate */
	MSN_CONFIG_DNS,
};
struct msn_config_subject {
	enum msn_config_subject_kind kind;
	uint32_t id;  /* MSN_CONFIG_UID, _GID */
	char *name;   /* MSN_CONFIG_URI, _DNS */
	char *tenant; /* the same */
};
struct msn_config_subjects {
	struct msn_config_subject *at;
	size_t count;
};

/* A folder whose files callers may have opened. */
struct msn_config_root {
	char *path; /* without dots, doubled slashes, or a slash at the end */
	bool writable;
	enum msn_role role; /* which a caller must have */
};
struct msn_config_roots {
	struct msn_config_root *at;
	size_t count;
};

/* Bounds of one owner, or of all together. */
struct msn_config_quota {
	uint64_t spaces, memory_bytes, snapshots, operations;
	uint64_t connections, requests_per_second;
};

struct msn_config {
	struct {
		struct msn_config_paths sockets;
		uint64_t socket_mode;
		gid_t socket_group;
		struct msn_config_addresses tcp, tls, metrics;
		char *tls_certificate, *tls_key, *tls_client_ca; /* or "" */
		char *fd_socket;				 /* or "" */
	} listen;
	struct {
		char *path;
	} store;
	struct {
		uint64_t workers;
		uint64_t drain_timeout_ms;
		bool watchdog;
	} service;
	struct {
		struct msn_config_quota owner, total;
		struct {
			uint64_t memory_bytes, mapped_bytes, mappings;
		} space;
	} quota;
	struct {
		struct msn_config_roots allow;
	} files;
	struct {
		struct msn_config_subjects read, operate, admin;
		char *tokens; /* or "" */
	} roles;
	struct {
		uint64_t format, level; /* enum msn_log_format, msn_log_level */
	} log;
	struct {
		uint64_t events, operations;
	} keep;
};

/* ---- The table ---------------------------------------------------------- */

struct msn_config_type;

struct msn_config_setting {
	const char *section, *name;
	const struct msn_config_type *type;
	const char *initial; /* as it would stand in a file; of a list: all */
	const char *help;    /* sentences without the last full stop */
	uint64_t min, max;   /* of numbers; max 0: no bounds */
	bool list;
	bool restart;  /* a change counts after a restart, not a reload */
	size_t offset; /* in struct msn_config */
};

/* All of them; those of one section stand together. */
const struct msn_config_setting *msn_config_settings(size_t *count);

/* What a value of the setting is, for people: "SIZE", "PATH". */
const char *msn_config_setting_argument(const struct msn_config_setting *s);

/* Is it 1 to 63 of a-z, 0-9, dots, dashes, underscores, none of them first? */
bool msn_config_is_tenant(const char *name);

/* ---- The command line --------------------------------------------------- */

enum msn_config_action {
	MSN_CONFIG_RUN = 0,
	MSN_CONFIG_CHECK,   /* --check-config */
	MSN_CONFIG_PRINT,   /* --print-config */
	MSN_CONFIG_HELP,    /* --help */
	MSN_CONFIG_VERSION, /* --version */
};

struct msn_config_flag {
	const struct msn_config_setting *setting;
	const char *text; /* of argv */
};

struct msn_config_args {
	enum msn_config_action action; /* the last one given */
	const char *file;	       /* --config, of argv; or NULL */
	struct msn_config_flag *flags; /* owned */
	size_t flag_count, flag_cap;
};

/*
 * Reads the command line; @argv lives longer.  INVALID for a flag that is none,
 * one without its value, or a word that is no flag; values are looked at later.
 */
MSN_MUST_CHECK int msn_config_args_init(struct msn_config_args *args, int argc,
					char *const *argv,
					struct msn_failure *why);
void msn_config_args_deinit(struct msn_config_args *args);

/* What --help says, for free(). */
MSN_MUST_CHECK int msn_config_help(char **out);

/* ---- Loading ------------------------------------------------------------ */

/* A file of the configuration; longer ones are refused. */
#define MSN_CONFIG_FILE_MAX ((size_t)1 << 20)
/* Bytes of one of its lines, its end included; lists go on several lines. */
#define MSN_CONFIG_LINE_MAX 198

struct msn_config_opts {
	const char *root; /* put before /usr/lib and /etc; NULL: nothing */
	const struct msn_config_args *args; /* NULL: none */
	char *const *environ;		    /* NULL: empty */

	/* Told of every problem, not just the first; NULL is allowed. */
	void (*problem)(void *ctx, const char *line);
	void *ctx;
};

/*
 * Reads everything.  INVALID, with a line that says where (file and line,
 * environment, command line), which setting, what stands there and what would
 * be right; DENIED for a file that others than root and this user may write.
 * Files of 2 to 4 that are not there are not missed.
 */
MSN_MUST_CHECK int msn_config_load(struct msn_config **out,
				   const struct msn_config_opts *opts,
				   struct msn_failure *why);

struct msn_config *msn_config_ref(struct msn_config *c);
/* Returns NULL; NULL is allowed.  Any thread. */
struct msn_config *msn_config_unref(struct msn_config *c);
MSN_DEFINE_AUTO(struct msn_config, msn_config_unref)

/*
 * For a reload: what holds from now on, of @next all that a reload can change,
 * of @now the rest.  @changed (NULL is allowed) is told of every setting that
 * differs between the two.  INVALID when the mixture makes no sense, although
 * both did; @now goes on then.
 */
MSN_MUST_CHECK int msn_config_reload(
	struct msn_config **out, const struct msn_config *now,
	const struct msn_config *next,
	void (*changed)(void *ctx, const struct msn_config_setting *setting),
	void *ctx, struct msn_failure *why);

/* ---- Telling ------------------------------------------------------------ */

/*
 * What holds, as a file that says the same, for free().  A comment above each
 * setting says where its value comes from.
 */
MSN_MUST_CHECK int msn_config_print(const struct msn_config *c, char **out);

/*
 * Where the value of a setting comes from: "FILE:LINE", "environment", "command
 * line" or "default"; of a list, of its last element.
 */
const char *msn_config_origin(const struct msn_config *c,
			      const struct msn_config_setting *s);

/*
 * Does what --check-config and --print-config ask for: problems, one a line, on
 * descriptor 2, the configuration on 1.  Returns the exit code, 0 or 1.
 */
int msn_config_act(const struct msn_config_opts *opts);

#endif /* MSN_CONFIG_CONFIG_H */
