/* Where an output's path leads, and the names beside it. */
#include "base/alloc.h"
#include "base/hash_sum.h"
#include "store/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MOST_LINKS = 40, OWN_NAMES = 40, HASH = 32 }; /* OWN_NAMES: what the longest name beside adds */

/* Do so many bytes of a path end so? */
static bool ends(const char *path, size_t length, const char *suffix)
{
    const size_t end = strlen(suffix);
    return length >= end && strncasecmp(path + length - end, suffix, end) == 0;
}

bool trm_path_ends(const char *path, const char *suffix)
{
    return ends(path, strlen(path), suffix);
}

static const char *const json_ends[] = {".jsonl", ".json", ".ndjson", NULL}, *const table_ends[] = {
                                                                                 ".csv", ".tsv", NULL};

static bool ends_with_one(const char *path, size_t length, const char *const *suffix)
{
    while (*suffix != NULL && !ends(path, length, *suffix))
        suffix++;
    return *suffix != NULL;
}

bool trm_path_is_json(const char *path)
{
    return ends_with_one(path, strlen(path), json_ends);
}

bool trm_path_is_table(const char *path)
{
    return ends_with_one(path, strlen(path), table_ends);
}

trm_status trm_path_check_hdf5(const char *path, const char *rule, trm_error *err)
{
    static const char *const others[] = {".npz", ".npy", ".txt", ".html", NULL};
    return trm_path_is_json(path) || trm_path_is_table(path) || ends_with_one(path, strlen(path), others)
               ? trm_fail(err, TRM_ERR_USAGE, "output '%s': %s", path, rule)
               : TRM_OK;
}

const char *trm_path_colon(const char *text)
{
    for (const char *at = text + strlen(text); at > text; at--) {
        const size_t length = (size_t)(at - text);
        if (*at == ':' && (ends_with_one(text, length, json_ends) || ends_with_one(text, length, table_ends)))
            return at;
    }
    return strrchr(text, ':');
}

const char *trm_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

char *trm_path_folder(const char *path)
{
    int length = (int)(trm_path_name(path) - path);
    if (length == 0)
        return trm_format(".");
    return trm_format("%.*s", length > 1 ? length - 1 : 1, path);
}

void trm_name_beside(const char *name, const char *what, char beside[NAME_MAX + 1])
{
    const size_t length = strlen(name), most = NAME_MAX - OWN_NAMES;
    char hash[HASH + 1] = "";
    if (length > most) { /* the hash tells two long names apart */
        trm_hash_sum sum = TRM_HASH_SUM_INIT;
        trm_hash_sum_add(&sum, name, length);
        trm_hash_sum_text(&sum, hash);
    }
    snprintf(beside, NAME_MAX + 1, ".%.*s%s.trimine-%s", (int)(length > most ? most - HASH : length), name,
             hash, what);
}

bool trm_name_is_own(const char *name)
{
    return name[0] == '.' && (strstr(name, ".trimine-lock") != NULL || strstr(name, ".trimine-tmp-") != NULL);
}

bool trm_name_leads_to(int directory, const char *name, int file)
{
    struct stat named, open;
    return fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(file, &open) == 0 &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

static const char *kind_of_file(mode_t mode)
{
    return S_ISDIR(mode)    ? "is a folder"
           : S_ISFIFO(mode) ? "is a pipe"
           : S_ISSOCK(mode) ? "is a socket"
                            : "is a device";
}

/* Also where a path leads through links: the system itself follows them here, by its rules about whose links
 * are trusted. */
static trm_status check_kind(const char *kind, const char *path, trm_error *err)
{
    struct stat about;
    if (path[0] == '\0')
        return trm_fail(err, TRM_ERR_USAGE, "%s: empty file name", kind);
    if (strcmp(path, "-") == 0)
        return trm_fail(err, TRM_ERR_USAGE, "%s '-': standard output can't take it: give the name of a file",
                        kind);
    if (stat(path, &about) == 0)
        return S_ISREG(about.st_mode) ? TRM_OK
                                      : trm_fail(err, TRM_ERR_CREATE, "%s '%s' %s, not a file", kind, path,
                                                 kind_of_file(about.st_mode));
    if (errno == ENOENT || errno == ENOTDIR)
        return TRM_OK; /* a free name; or no folder, which opening it says better */
    if (errno == ELOOP)
        return trm_fail(err, TRM_ERR_CREATE, "%s '%s': its symbolic links lead in a circle", kind, path);
    const trm_status status = trm_status_of_errno(errno);
    return trm_fail(err, status == TRM_ERR_PERMISSION ? status : TRM_ERR_CREATE, "%s '%s': %s", kind, path,
                    strerror(errno));
}

/* Where the link at leads: new memory, or NULL. */
static char *follow(const char *at)
{
    char link[PATH_MAX];
    const ssize_t length = readlink(at, link, sizeof link - 1);
    if (length < 0)
        return NULL;
    link[length] = '\0';
    if (link[0] == '/')
        return trm_format("%s", link);
    return trm_format("%.*s%s", (int)(trm_path_name(at) - at), at, link);
}

/* In a folder that all may write to, another user's link may lead anywhere: Linux can be set to follow only
 * one's own and the folder owner's there (fs.protected_symlinks), and so we do always. */
static bool is_trusted(const struct stat *link, const char *folder)
{
    struct stat about;
    const mode_t open = S_ISVTX | S_IWOTH;
    return stat(folder, &about) == 0 &&
           ((about.st_mode & open) != open || link->st_uid == geteuid() || link->st_uid == about.st_uid);
}

/* One step on the way: *next is where the last name's link leads, or NULL where it is none. */
static trm_status step(const char *kind, const char *path, const char *at, const char *folder, char **next,
                       trm_error *err)
{
    struct stat about;
    struct statfs system;
    const char *name = trm_path_name(at);
    *next = NULL;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return trm_fail(err, TRM_ERR_CREATE, "%s '%s' names a folder, not a file", kind, path);
    if (statfs(folder, &system) == 0 && system.f_type == PROC_SUPER_MAGIC)
        return trm_fail(err, TRM_ERR_CREATE,
                        "%s '%s': can't create a file in '%s', which is the system's own", kind, path,
                        folder);
    if (lstat(at, &about) != 0 || !S_ISLNK(about.st_mode))
        return TRM_OK;
    if (!is_trusted(&about, folder))
        return trm_fail(err, TRM_ERR_PERMISSION,
                        "%s '%s': another user's symbolic link in '%s' is not followed", kind, path, folder);
    *next = follow(at);
    return *next != NULL ? TRM_OK : trm_fail_memory(err, "a file name", PATH_MAX, 1);
}

trm_status trm_path_resolve(const char *kind, const char *path, char **folder, char **name, trm_error *err)
{
    *folder = *name = NULL;
    trm_status status = check_kind(kind, path, err);
    char *at = status == TRM_OK ? trm_format("%s", path) : NULL;
    for (int links = 0; status == TRM_OK; links++) {
        char *next = NULL;
        trm_free(*folder);
        *folder = at == NULL ? NULL : trm_path_folder(at);
        if (*folder == NULL)
            status = trm_fail_memory(err, "a file name", (int64_t)strlen(path), 1);
        else if (links == MOST_LINKS)
            status =
                trm_fail(err, TRM_ERR_CREATE, "%s '%s': its symbolic links lead in a circle", kind, path);
        else
            status = step(kind, path, at, *folder, &next, err);
        if (status != TRM_OK || next == NULL)
            break;
        trm_free(at);
        at = next;
    }
    if (status == TRM_OK) {
        *name = trm_format("%s", trm_path_name(at));
        if (*name == NULL)
            status = trm_fail_memory(err, "a file name", (int64_t)strlen(at), 1);
    }
    trm_free(at);
    if (status != TRM_OK) {
        trm_free(*folder);
        *folder = NULL;
    }
    return status;
}

bool trm_output_is_same(const char *path, const char *other)
{
    struct stat a, b;
    if (stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return true;
    char *folder[2], *name[2];
    const bool found = trm_path_resolve("output", path, &folder[0], &name[0], NULL) == TRM_OK;
    const bool both = trm_path_resolve("output", other, &folder[1], &name[1], NULL) == TRM_OK && found;
    const bool same = both && strcmp(name[0], name[1]) == 0 && stat(folder[0], &a) == 0 &&
                      stat(folder[1], &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    for (int i = 0; i < 2; i++) {
        trm_free(folder[i]);
        trm_free(name[i]);
    }
    return same;
}
