/*
 * A root folder with files of a configuration, and a load of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_scene.h"

#include "support/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void scene_open(struct scene *s)
{
	*s = (struct scene){ .root = "/tmp/msn-config-XXXXXX",
			     .argv = { "memsnapd" } };
	umask(022);
	CHECK(mkdtemp(s->root));
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
	s->config = msn_config_unref(s->config);
	nftw(s->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scene_file(struct scene *s, const char *path, const char *text)
{
	char whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", s->root, path);
	for (char *c = whole + strlen(s->root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(whole, 0755);
		*c = '/';
	}
	file = fopen(whole, "we");
	CHECK(file);
	CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Remembers a problem; the root, which is random, is left out. */
static void note(void *ctx, const char *line)
{
	struct scene *s = ctx;
	size_t used = strlen(s->problems), root = strlen(s->root);

	if (strncmp(line, s->root, root) == 0)
		line += root;
	snprintf(s->problems + used, sizeof(s->problems) - used, "%s\n", line);
	s->problem_count++;
}

int scene_try(struct scene *s, struct msn_config **out)
{
	struct msn_config_args args;
	struct msn_config_opts opts = {
		.root = s->root,
		.args = &args,
		.environ = (char *const *)(void *)s->environment,
		.problem = note,
		.ctx = s,
	};
	int argc = 0, rc;

	while (s->argv[argc])
		argc++;
	s->why = (struct msn_failure){ 0 };
	s->problems[0] = '\0';
	s->problem_count = 0;
	rc = msn_config_args_init(&args, argc, (char *const *)(void *)s->argv,
				  &s->why);
	if (rc == 0)
		rc = msn_config_load(out, &opts, &s->why);
	msn_config_args_deinit(&args);
	return rc;
}

bool scene_load(struct scene *s)
{
	struct msn_config *next = NULL;
	int rc = scene_try(s, &next);

	CHECK((rc == 0) == (next != NULL));
	CHECK((rc == 0) == (s->why.kind == MSN_FAILURE_NONE));
	msn_config_unref(s->config);
	s->config = next;
	return rc == 0;
}

bool refused(struct scene *s, const char *text, const char *line)
{
	bool same;

	scene_file(s, ETC, text);
	if (scene_load(s))
		return false;
	s->problems[strcspn(s->problems, "\n")] = '\0';
	same = s->problem_count == 1 && strcmp(s->problems, line) == 0;
	if (!same)
		fprintf(stderr, "%u problems\nsaid:  %s\nnot:   %s\n",
			s->problem_count, s->problems, line);
	return same;
}

const struct msn_config_setting *setting(const char *section, const char *name)
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(s[i].section, section) == 0 &&
		    strcmp(s[i].name, name) == 0)
			return &s[i];
	CU_FAIL_FATAL("there is no such setting");
	return NULL;
}
