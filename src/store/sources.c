/* Walking to a dataset; see sources.h. The order in which HDF5 looks for a file is that of
 * H5F_prefix_open_file in 1.10. */
#include "store/sources.h"

#include "base/alloc.h"
#include "store/claim.h"
#include "store/store_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* HDF5 follows as many links on one way and gives up. */
enum { LINKS_MOST = 16, LINK_TEXT = 400 };

/* ---- files ---- */

static bool stamp(const char *path, int64_t *bytes, int64_t *modified)
{
    struct stat about;
    const bool known = stat(path, &about) == 0;
    *bytes = known ? (int64_t)about.st_size : 0;
    *modified = known ? (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec : 0;
    return known;
}

static trm_status add(trm_sources *sources, const char *path, const char *input, trm_error *err)
{
    if (sources->count > 0 && strcmp(sources->file[sources->count - 1].path, path) == 0)
        return TRM_OK; /* many parts of one file follow each other */
    if (sources->count == sources->room) {
        const int64_t room = 2 * sources->room + 4;
        trm_source_file *larger = trm_alloc(room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of files", room, sizeof *larger);
        if (sources->count > 0)
            memcpy(larger, sources->file, (size_t)sources->count * sizeof *larger);
        trm_free(sources->file);
        sources->file = larger;
        sources->room = room;
    }
    trm_source_file *source = &sources->file[sources->count];
    source->path = trm_format("%s", path);
    source->input = input == NULL ? NULL : trm_format("%s", input);
    if (source->path == NULL || (input != NULL && source->input == NULL)) {
        trm_free(source->path);
        return trm_fail_memory(err, "a file name", (int64_t)strlen(path), 1);
    }
    sources->count++;
    stamp(path, &source->bytes, &source->modified);
    return TRM_OK;
}

trm_status trm_sources_add_input(trm_sources *sources, const trm_named_file *about, trm_error *err)
{
    return add(sources, about->path, NULL, err);
}

trm_status trm_sources_check_unchanged(const trm_sources *sources, const char *kind, trm_error *err)
{
    for (int64_t i = 0; i < sources->count; i++) {
        const trm_source_file *source = &sources->file[i];
        int64_t bytes = 0, modified = 0;
        if (stamp(source->path, &bytes, &modified) && bytes == source->bytes && modified == source->modified)
            continue;
        if (source->input == NULL)
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", kind,
                            source->path);
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': the file '%s', which it leads to, was changed while it was read", kind,
                        source->input, source->path);
    }
    return TRM_OK;
}

void trm_sources_free(trm_sources *sources)
{
    for (int64_t i = 0; i < sources->count; i++) {
        trm_free(sources->file[i].path);
        trm_free(sources->file[i].input);
    }
    trm_free(sources->file);
    *sources = (trm_sources)TRM_SOURCES_INIT;
}

/* A failure in a file that was led to, told of the input. What is missing there is bad data here. */
static trm_status relay(const trm_search *search, const char *link, const trm_error *inner, trm_error *err)
{
    const trm_status status = inner->status == TRM_ERR_NO_INPUT ? TRM_ERR_DATA : inner->status;
    return trm_fail(err, status, "%s '%s': %s: %s", search->about->kind, search->about->path, link,
                    inner->text);
}

const char *trm_search_where(const trm_search *search, char text[TRM_SEARCH_WHERE])
{
    text[0] = '\0';
    if (strcmp(search->path, search->about->path) != 0)
        snprintf(text, TRM_SEARCH_WHERE, " of '%s'", search->path);
    return text;
}

/* ---- where HDF5 looks for a file ---- */

/* FOLDER/NAME, or NAME alone where folder is "."; new memory. Frees folder. */
static char *join(char *folder, const char *name)
{
    const size_t length = strlen(folder);
    char *path = length == 0 || strcmp(folder, ".") == 0 ? trm_format("%s", name)
                 : folder[length - 1] == '/'             ? trm_format("%s%s", folder, name)
                                                         : trm_format("%s/%s", folder, name);
    trm_free(folder);
    return path;
}

/* The prefix as a whole, with "${ORIGIN}" for the folder of the file that leads on; NULL: none. */
static char *whole_prefix(const char *prefix, const char *from)
{
    static const char origin[] = "${ORIGIN}";
    const size_t length = sizeof origin - 1;
    if (prefix == NULL || prefix[0] == '\0')
        return NULL;
    if (strncmp(prefix, origin, length) != 0)
        return trm_format("%s", prefix);
    char *folder = trm_path_folder(from);
    char *whole = folder == NULL ? NULL : trm_format("%s%s", folder, prefix + length);
    trm_free(folder);
    return whole;
}

/* The folder that the file is in when symbolic links are followed. */
static char *real_folder(const char *from)
{
    char real[PATH_MAX];
    return realpath(from, real) == NULL ? NULL : trm_path_folder(real);
}

typedef struct places {
    char **path;
    int count;
} places;

/* folder: new memory, taken; NULL: no such place. */
static void add_place(places *all, char *folder, const char *name)
{
    char *path = folder == NULL ? NULL : join(folder, name);
    if (path != NULL)
        all->path[all->count++] = path;
}

static void free_places(places *all)
{
    for (int i = 0; i < all->count; i++)
        trm_free(all->path[i]);
    trm_free(all->path);
}

/* All places where HDF5 looks for name, in its order. whole: the prefix also counts as one folder, as for
 * sources of virtual datasets. */
static trm_status list_places(const char *name, const char *from, const char *prefix, bool whole, places *all,
                              trm_error *err)
{
    int64_t most = 6;
    for (const char *c = prefix; c != NULL && *c != '\0'; c++)
        most += *c == ':';
    all->count = 0;
    all->path = trm_alloc(most, sizeof *all->path);
    if (all->path == NULL)
        return trm_fail_memory(err, "a list of places", most, sizeof *all->path);
    if (name[0] == '/') {
        add_place(all, trm_format("."), name);
        name = trm_path_name(name);
    }
    for (const char *c = prefix; c != NULL && *c != '\0'; c += *c == ':') {
        const int length = (int)strcspn(c, ":");
        if (length > 0)
            add_place(all, trm_format("%.*s", length, c), name);
        c += length;
    }
    if (whole)
        add_place(all, whole_prefix(prefix, from), name);
    add_place(all, trm_path_folder(from), name);
    add_place(all, trm_format("."), name);
    add_place(all, real_folder(from), name);
    return TRM_OK;
}

/* Tries one place. HDF5 goes on to the next where a file is missing or can't be opened; *inner keeps the
 * first reason. But on a pipe or a device it would wait: that is an error at once. */
static trm_status try_place(const trm_search *search, const char *path, const char *link, hid_t *file,
                            trm_error *inner, trm_error *err)
{
    const trm_named_file about = {"file", path};
    struct stat found;
    trm_error why = TRM_ERROR_INIT;
    if (stat(path, &found) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return TRM_OK;
    trm_status status = add(search->sources, path, search->about->path, err);
    if (status != TRM_OK || trm_inspect_open(&about, file, &why) == TRM_OK)
        return status;
    if (inner->status == TRM_OK)
        *inner = why;
    if (stat(path, &found) == 0 && !S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode))
        return relay(search, link, &why, err);
    return TRM_OK;
}

trm_status trm_search_open(const trm_search *search, const char *name, trm_search_kind kind, const char *link,
                           char **path, hid_t *file, trm_error *err)
{
    const bool virtual = kind == TRM_SEARCH_VIRTUAL;
    trm_error inner = TRM_ERROR_INIT;
    places all;
    *file = -1;
    *path = NULL;
    trm_status status = list_places(
        name, search->path, getenv(virtual ? "HDF5_VDS_PREFIX" : "HDF5_EXT_PREFIX"), virtual, &all, err);
    for (int i = 0; i < all.count && status == TRM_OK && *file < 0; i++) {
        status = try_place(search, all.path[i], link, file, &inner, err);
        if (*file >= 0) {
            *path = all.path[i];
            all.path[i] = NULL;
        }
    }
    free_places(&all);
    if (status == TRM_OK && *file < 0 && inner.status != TRM_OK)
        status = relay(search, link, &inner, err);
    return status;
}

char *trm_search_prefixed(const trm_search *search, const char *name, const char *prefix)
{
    char *folder = name[0] == '/' ? NULL : whole_prefix(prefix, search->path);
    return folder == NULL ? trm_format("%s", name) : join(folder, name);
}

trm_status trm_search_plain(const trm_search *search, const char *path, const char *link, int64_t bytes,
                            trm_error *err)
{
    trm_error inner = TRM_ERROR_INIT;
    int64_t there = 0;
    int file = -1;
    const trm_named_file about = {"file", path};
    trm_status status = trm_inspect_regular(&about, &file, &there, &inner);
    if (file >= 0)
        close(file);
    if (status != TRM_OK)
        return relay(search, link, &inner, err);
    if (there < bytes)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %s: file '%s' is too short: %" PRId64 " bytes are needed, it has %" PRId64,
                        search->about->kind, search->about->path, link, path, bytes, there);
    return add(search->sources, path, search->about->path, err);
}

/* ---- the walk ---- */

typedef struct walk {
    trm_search search;      /* path: of the file that the walk is in */
    char *own_path;         /* the same, where it is not the caller's */
    hid_t at;               /* the object reached */
    char *rest;             /* the way that is left */
    char walked[LINK_TEXT]; /* the way so far, from the root of its file; for messages */
    int links;
    char link[LINK_TEXT]; /* the last link, for messages; empty: none yet */
} walk;

static trm_status lost(const walk *w, const char *why, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s: %s", w->search.about->kind, w->search.about->path,
                    w->link, why);
}

/* Goes on at the root of the walk's file. */
static trm_status to_root(walk *w, trm_error *err)
{
    hid_t root = H5Gopen2(w->at, "/", H5P_DEFAULT);
    w->walked[0] = '\0';
    trm_h5_close(w->at);
    w->at = root;
    return root >= 0 ? TRM_OK : lost(w, "the root of its file can't be opened: the file is damaged", err);
}

static trm_status follow(walk *w, const char *target, const char *rest, trm_error *err)
{
    char *way = trm_format("%s/%s", target, rest);
    if (way == NULL)
        return trm_fail_memory(err, "a path", (int64_t)strlen(target), 1);
    trm_free(w->rest);
    w->rest = way;
    if (++w->links > LINKS_MOST)
        return lost(w, "links lead in a circle, or there are more than 16 on one way", err);
    return target[0] == '/' ? to_root(w, err) : TRM_OK;
}

static trm_status follow_external(walk *w, const char *shown, const char *value, size_t size,
                                  const char *rest, trm_error *err)
{
    char where[TRM_SEARCH_WHERE];
    const char *file_name = NULL, *target = NULL;
    unsigned flags = 0;
    if (H5Lunpack_elink_val(value, size, &flags, &file_name, &target) < 0)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': external link '%s' can't be read", w->search.about->kind,
                        w->search.about->path, shown);
    snprintf(w->link, sizeof w->link, "external link '%s'%s leads to '%s' in '%s'", shown,
             trm_search_where(&w->search, where), target, file_name);
    char *path = NULL;
    hid_t file = -1;
    trm_status status = trm_search_open(&w->search, file_name, TRM_SEARCH_LINK, w->link, &path, &file, err);
    if (status == TRM_OK && file < 0)
        status = lost(w, "there is no such file; HDF5_EXT_PREFIX names the folder to look in", err);
    if (status != TRM_OK) {
        trm_free(path);
        return status;
    }
    trm_h5_close(w->at);
    w->walked[0] = '\0';
    w->at = H5Gopen2(file, "/", H5P_DEFAULT);
    H5Fclose(file); /* open for as long as an object in it is */
    trm_free(w->own_path);
    w->search.path = w->own_path = path;
    if (w->at < 0)
        return lost(w, "its root can't be opened: the file is damaged", err);
    char *from_root = trm_format("/%s", target);
    status = from_root == NULL ? trm_fail_memory(err, "a path", (int64_t)strlen(target), 1)
                               : follow(w, from_root, rest, err);
    trm_free(from_root);
    return status;
}

static trm_status follow_link(walk *w, const char *name, const H5L_info_t *link, const char *rest,
                              trm_error *err)
{
    char shown[LINK_TEXT / 2], where[TRM_SEARCH_WHERE];
    char *value = trm_alloc_zero((int64_t)link->u.val_size + 1, 1);
    trm_status status = TRM_OK;
    snprintf(shown, sizeof shown, "%.*s/%s", LINK_TEXT / 4, w->walked, name);
    if (value == NULL)
        return trm_fail_memory(err, "a link", (int64_t)link->u.val_size, 1);
    if (H5Lget_val(w->at, name, value, link->u.val_size, H5P_DEFAULT) < 0) {
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': link '%s' can't be read: the file is damaged",
                          w->search.about->kind, w->search.about->path, shown);
    } else if (link->type == H5L_TYPE_SOFT) {
        snprintf(w->link, sizeof w->link, "link '%s'%s leads to '%s'", shown,
                 trm_search_where(&w->search, where), value);
        status = follow(w, value, rest, err);
    } else if (link->type == H5L_TYPE_EXTERNAL) {
        status = follow_external(w, shown, value, link->u.val_size, rest, err);
    } else {
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': link '%s' is of a kind that HDF5 does not know",
                          w->search.about->kind, w->search.about->path, shown);
    }
    trm_free(value);
    return status;
}

static trm_status cannot_open(const walk *w, const char *name, trm_error *err)
{
    char why[256] = {0}, version[TRM_H5_VERSION];
    trm_h5_reason(why, sizeof why);
    trm_h5_version(version);
    const char *const led = w->link[0] == '\0' ? "" : ": ";
    if (strstr(why, "version") != NULL)
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': %s%s'%s/%s' can't be opened: written by a newer HDF5 than the %s linked, not "
            "finished by its writer, or damaged (%s)",
            w->search.about->kind, w->search.about->path, w->link, led, w->walked, name, version, why);
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s%s'%s/%s' can't be opened: the file is damaged (%s)",
                    w->search.about->kind, w->search.about->path, w->link, led, w->walked, name, why);
}

/* One step, by the name before rest. *there: is there anything? */
static trm_status step(walk *w, const char *name, const char *rest, bool *there, trm_error *err)
{
    H5L_info_t link;
    *there = false;
    if (H5Iget_type(w->at) != H5I_GROUP)
        return TRM_OK;
    const htri_t exists = H5Lexists(w->at, name, H5P_DEFAULT);
    if (exists == 0)
        return TRM_OK;
    if (exists < 0 || H5Lget_info(w->at, name, &link, H5P_DEFAULT) < 0)
        return cannot_open(w, name, err);
    *there = true;
    if (link.type != H5L_TYPE_HARD)
        return follow_link(w, name, &link, rest, err);
    hid_t next = H5Oopen(w->at, name, H5P_DEFAULT);
    if (next < 0)
        return cannot_open(w, name, err);
    trm_h5_close(w->at);
    w->at = next;
    const size_t used = strlen(w->walked);
    snprintf(w->walked + used, sizeof w->walked - used, "/%s", name);
    char *left = trm_format("%s", rest);
    if (left == NULL)
        return trm_fail_memory(err, "a path", (int64_t)strlen(rest), 1);
    trm_free(w->rest);
    w->rest = left;
    return TRM_OK;
}

static trm_status walk_all(walk *w, bool *there, trm_error *err)
{
    trm_status status = TRM_OK;
    *there = true;
    while (status == TRM_OK && *there) {
        const char *name = w->rest + strspn(w->rest, "/");
        const size_t length = strcspn(name, "/");
        if (length == 0)
            break;
        const char *rest = name + length;
        if (length == 1 && name[0] == '.') {
            memmove(w->rest, rest, strlen(rest) + 1);
            continue;
        }
        char *step_name = trm_format("%.*s", (int)length, name);
        status = step_name == NULL ? trm_fail_memory(err, "a name", (int64_t)length, 1)
                                   : step(w, step_name, rest, there, err);
        trm_free(step_name);
    }
    if (status == TRM_OK && !*there && w->links > 0)
        status = lost(w, "nothing is there", err);
    return status;
}

static trm_found_kind kind_of(hid_t object)
{
    const H5I_type_t type = H5Iget_type(object);
    return type == H5I_DATASET ? TRM_FOUND_DATASET : type == H5I_GROUP ? TRM_FOUND_GROUP : TRM_FOUND_OTHER;
}

trm_status trm_search_find(const trm_search *search, hid_t from, const char *path, trm_found *found,
                           trm_error *err)
{
    walk w = {.search = *search, .at = H5Gopen2(from, "/", H5P_DEFAULT), .rest = trm_format("%s", path)};
    char shown[LINK_TEXT];
    bool there = false;
    trm_status status = TRM_OK;
    snprintf(shown, sizeof shown, "%s%s", path[0] == '/' ? "" : "/", path);
    *found = (trm_found){TRM_FOUND_NOTHING, -1};
    if (w.rest == NULL)
        status = trm_fail_memory(err, "a path", (int64_t)strlen(path), 1);
    else if (w.at < 0)
        status = cannot_open(&w, "", err);
    if (status == TRM_OK)
        status = walk_all(&w, &there, err);
    if (status == TRM_OK && there) {
        found->kind = kind_of(w.at);
        if (found->kind == TRM_FOUND_DATASET)
            status = trm_search_storage(&w.search, w.at, shown, err);
    }
    if (status == TRM_OK && there) {
        found->object = w.at;
        w.at = -1;
    }
    trm_h5_close(w.at);
    trm_free(w.rest);
    trm_free(w.own_path);
    return status;
}

trm_status trm_sources_find(trm_sources *sources, const trm_named_file *about, hid_t file, const char *path,
                            trm_found *found, trm_error *err)
{
    const trm_search search = {.sources = sources, .about = about, .path = about->path};
    return trm_search_find(&search, file, path, found, err);
}
