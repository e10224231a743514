/*
 * The files of packs: what a save takes, what a crash left behind.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything here runs under the writer's lock.  A pack file that the catalog
 * does not know belongs to nobody: whoever made it died before publishing, or
 * its last snapshot was removed while somebody still read it.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "store/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int each_name_fn(void *arg, const char *name);

static int each_name(const struct msn_store *store, each_name_fn *each,
		     void *arg)
{
	int fd = openat(store->packs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (!list) {
		rc = msn_fail(-errno);
		msn_close(fd);
		return rc;
	}
	while (rc == 0 && (e = readdir(list)))
		rc = each(arg, e->d_name);
	closedir(list);
	return msn_pass(rc);
}

/* What the catalog knows, in the order of ids. */
struct known {
	struct msn_index_pack *list;
	size_t count;
	struct store_packs *p;
};

static int compare_id(const void *key, const void *elem)
{
	uint64_t id = *(const uint64_t *)key;
	const struct msn_index_pack *p = elem;

	return id < p->id ? -1 : id > p->id;
}

static int orphan_each(void *arg, const char *name)
{
	struct known *k = arg;
	uint64_t id;
	int rc;

	if (!msn_pack_parse_name(name, &id) ||
	    (k->count &&
	     bsearch(&id, k->list, k->count, sizeof(*k->list), compare_id)))
		return 0;
	rc = msn_pack_retire(k->p->store->packs, name, true);
	return rc == MSN_PACK_E_BUSY ? 0 : msn_pass(rc);
}

static int spare_each(void *arg, const char *name)
{
	struct store_packs *p = arg;
	int rc;

	if (!msn_pack_is_spare_name(name))
		return 0;
	if (p->spare_count >= STORE_SPARES_MAX) {
		rc = msn_pack_retire(p->store->packs, name, false);
		return rc == MSN_PACK_E_BUSY ? 0 : msn_pass(rc);
	}
	rc = msn_grow((void **)&p->spares, &p->spare_cap, p->spare_count,
		      sizeof(*p->spares));
	if (rc)
		return msn_pass(rc);
	strcpy(p->spares[p->spare_count++], name);
	return 0;
}

static void pick_open(struct store_packs *p, const struct known *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->list[i].state == MSN_INDEX_PACK_OPEN &&
		    k->list[i].pages + 2 <= MSN_PACK_PAGES)
			p->open = k->list[i];
}

static int supply_next(struct msn_pack_supply *supply,
		       struct msn_pack_slot *out, struct msn_failure *why);

int store_packs_init(struct store_packs *p, struct msn_store *store,
		     struct msn_failure *why)
{
	struct known k = { .p = p };
	int rc;

	*p = (struct store_packs){ .supply = { supply_next }, .store = store };
	rc = msn_index_packs(store->index, &k.list, &k.count, &p->next_id, why);
	if (rc)
		return msn_pass(rc);
	pick_open(p, &k);
	rc = each_name(store, orphan_each, &k);
	free(k.list);
	if (rc == 0)
		rc = each_name(store, spare_each, p);
	if (rc)
		return msn_failure_errno(why, rc,
					 "could not look through the packs of "
					 "store %s",
					 store->path);
	return 0;
}

void store_packs_deinit(struct store_packs *p)
{
	free(p->spares);
	free(p->taken);
}

static struct msn_pack_header next_header(struct store_packs *p)
{
	return (struct msn_pack_header){ .store = p->store->uid,
					 .id = p->next_id,
					 .generation = 1 };
}

/* A pack that cannot be appended to is left to its readers. */
static int take_open(struct store_packs *p, struct msn_pack_slot *out)
{
	struct msn_pack_header h = { p->store->uid, p->open.id,
				     p->open.generation };
	int rc;

	if (h.id == 0)
		return MSN_PACK_E_OTHER;
	rc = msn_pack_open_append(p->store->packs, &h, p->store->direct,
				  &out->fd);
	*out = (struct msn_pack_slot){ out->fd, h.id, h.generation,
				       p->open.pages };
	p->open.id = 0;
	return rc == -ENOENT ? MSN_PACK_E_OTHER : msn_pass(rc);
}

static int take_spare(struct store_packs *p, struct msn_pack_slot *out)
{
	while (p->spare_count) {
		const char *spare = p->spares[--p->spare_count];
		struct msn_pack_header h = next_header(p);
		int rc = msn_pack_recycle(p->store->packs, spare, &h,
					  p->store->direct, &out->fd);

		if (rc < 0)
			return msn_pass(rc);
		if (rc == 0) {
			*out = (struct msn_pack_slot){ out->fd, h.id,
						       h.generation, 1 };
			p->next_id++;
			return 0;
		}
	}
	return MSN_PACK_E_OTHER;
}

static int take_new(struct store_packs *p, struct msn_pack_slot *out)
{
	int rc;

	do {
		struct msn_pack_header h = next_header(p);

		rc = msn_pack_create(p->store->packs, &h, p->store->direct,
				     &out->fd);
		p->next_id++;
		*out = (struct msn_pack_slot){ out->fd, h.id, h.generation, 1 };
	} while (rc == -EEXIST);
	return msn_pass(rc);
}

static int supply_next(struct msn_pack_supply *supply,
		       struct msn_pack_slot *out, struct msn_failure *why)
{
	struct store_packs *p =
		msn_container_of(supply, struct store_packs, supply);
	enum store_pack_origin origin = STORE_PACK_APPENDED;
	int rc = msn_grow((void **)&p->taken, &p->taken_cap, p->taken_count,
			  sizeof(*p->taken));

	if (rc == 0)
		rc = take_open(p, out);
	if (rc > 0) {
		origin = STORE_PACK_RECYCLED;
		rc = take_spare(p, out);
	}
	if (rc > 0) {
		origin = STORE_PACK_NEW;
		rc = take_new(p, out);
	}
	if (rc)
		return msn_failure_errno(why, rc,
					 "could not make a pack of store %s",
					 p->store->path);
	p->taken[p->taken_count++] = (struct store_taken){ out->id, origin };
	return 0;
}

int store_packs_sync(const struct store_packs *p)
{
	bool renamed = false;

	for (size_t i = 0; i < p->taken_count; i++)
		renamed |= p->taken[i].origin != STORE_PACK_APPENDED;
	if (!renamed)
		return 0;
	if (msn_fault("store.sync_packs"))
		return msn_fail(-EIO);
	return fsync(p->store->packs) ? msn_fail(-errno) : 0;
}

/*
 * Errors leave the file to the next writer, who finds it unknown.  A file made
 * just now goes, so that a disk that filled up has its space again.
 */
void store_packs_give_up(struct store_packs *p, bool doubtful)
{
	for (size_t i = 0; i < p->taken_count; i++) {
		const struct store_taken *t = &p->taken[i];
		bool keep = t->origin == STORE_PACK_RECYCLED && !doubtful;
		char name[MSN_PACK_NAME];
		int rc = 0;

		msn_pack_name(t->id, name);
		if (t->origin != STORE_PACK_APPENDED)
			rc = msn_pack_retire(p->store->packs, name, keep);
		else if (doubtful)
			rc = msn_index_seal(p->store->index, t->id, NULL);
		(void)rc;
	}
	p->taken_count = 0;
}

static int drop_each(void *arg, const char *name)
{
	struct msn_store *store = arg;
	int rc = 0;

	if (msn_pack_is_spare_name(name))
		rc = msn_pack_retire(store->packs, name, false);
	return rc == MSN_PACK_E_BUSY ? 0 : rc;
}

void store_packs_drop_spares(struct msn_store *store)
{
	int rc = each_name(store, drop_each, store);

	(void)rc; /* what could not go stays */
}

static int count_each(void *arg, const char *name)
{
	*(uint64_t *)arg += msn_pack_is_spare_name(name);
	return 0;
}

int store_packs_count_spares(struct msn_store *store, uint64_t *count)
{
	*count = 0;
	return msn_pass(each_name(store, count_each, count));
}

static void mark_used(bool *used, const struct msn_extents *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->list[i].pack != MSN_EXTENT_ZERO)
			used[list->list[i].pack] = true;
}

bool *store_packs_used(const struct msn_manifest *m)
{
	bool *used = msn_alloc_array(m->pack_count, sizeof(*used));

	if (!used)
		return NULL;
	mark_used(used, &m->pages);
	for (size_t i = 0; i < m->object_count; i++)
		mark_used(used, &m->objects[i].pages);
	for (size_t i = 0; i < m->blob_count; i++)
		mark_used(used, &m->blobs[i].pages);
	return used;
}
