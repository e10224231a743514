/*
 * A folder, a configuration read from it, and who decides by that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth_scene.h"

#include "log/log.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void be_quiet(void)
{
	struct msn_log_opts opts = { .format = MSN_LOG_LOGFMT };

	opts.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK(opts.fd >= 0 && msn_log_start(&opts, NULL) == 0);
}

const char *scene_path(const struct scene *s, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *out = paths[turn++ % 4];

	snprintf(out, sizeof(paths[0]), "%s/%s", s->folder, name);
	return out;
}

void scene_file(struct scene *s, const char *name, const char *text,
		unsigned mode)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	for (char *c = path + strlen(s->folder) + 1; (c = strchr(c, '/'));
	     c++) {
		*c = '\0';
		mkdir(path, 0755);
		*c = '/';
	}
	unlink(path);
	file = fopen(path, "we");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
	CHECK(chmod(path, mode) == 0);
}

void scene_configure(struct scene *s, const char *text)
{
	char whole[4096] = "",
	     *argv[] = { (char *)"memsnapd", (char *)"--config", NULL, NULL };
	struct msn_config_args args;
	struct msn_config_opts opts = { .args = &args };
	size_t used = 0;

	for (; *text; text++) {
		if (*text == '%')
			used += (size_t)snprintf(whole + used,
						 sizeof(whole) - used, "%s",
						 s->folder);
		else
			whole[used++] = *text;
	}
	whole[used] = '\0';
	scene_file(s, "memsnapd.conf", whole, 0644);
	argv[2] = (char *)(uintptr_t)scene_path(s, "memsnapd.conf");
	CHECK(msn_config_args_init(&args, 3, argv, NULL) == 0);
	s->config = msn_config_unref(s->config);
	s->why = (struct msn_failure){ 0 };
	if (msn_config_load(&s->config, &opts, &s->why))
		fprintf(stderr, "%s\n", s->why.text);
	CHECK(s->config);
	msn_config_args_deinit(&args);
}

void scene_open(struct scene *s, const char *text)
{
	*s = (struct scene){ .folder = "/tmp/msn-auth-XXXXXX" };
	be_quiet();
	umask(022);
	CHECK(mkdtemp(s->folder) && chmod(s->folder, 0755) == 0);
	scene_configure(s, text);
	CHECK(msn_auth_new(&s->auth, s->config, &s->why) == 0);
}

int scene_reload(struct scene *s, const char *text)
{
	scene_configure(s, text);
	return msn_auth_reload(s->auth, s->config, &s->why);
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void scene_close(struct scene *s)
{
	msn_auth_free(s->auth);
	msn_config_unref(s->config);
	nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	msn_log_stop();
}

struct msn_peer process(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	return (struct msn_peer){ .transport = MSN_TRANSPORT_UNIX,
				  .uid = uid,
				  .gid = gid,
				  .groups = groups,
				  .group_count = count,
				  .pidfd = -1,
				  .address = "unix:4711" };
}

struct msn_peer stranger(const char *certificate)
{
	struct msn_peer p = { .transport = MSN_TRANSPORT_TLS,
			      .uid = (uid_t)-1,
			      .gid = (gid_t)-1,
			      .pidfd = -1 };

	snprintf(p.certificate, sizeof(p.certificate), "%s", certificate);
	return p;
}

const char *judged(struct scene *s, struct msn_peer peer, const char *token)
{
	static char text[128];
	const struct msn_peer before = peer;
	int rc = msn_auth_peer(s->auth, &peer, token);

	if (rc) {
		CHECK(rc == -EACCES);
		CHECK(strcmp(peer.owner, before.owner) == 0 &&
		      peer.role == before.role);
		return "refused";
	}
	snprintf(text, sizeof(text), "%s %s", peer.owner,
		 msn_role_name(peer.role));
	return text;
}
