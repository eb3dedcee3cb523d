/* Opening an input, and why it can't be; what is in it, for messages. On one rank, before any other touches
 * the file. */
#include "store/store_inner.h"

#include "store/first_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/* Where a link leads, as it is written in it; NULL: path is none. */
static const char *link_target(const char *path, char target[PATH_MAX])
{
    const ssize_t length = readlink(path, target, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    return target;
}

trm_status trm_inspect_unopened(const trm_named_file *about, int error_number, trm_error *err)
{
    char target[PATH_MAX];
    const char *led = error_number == ENOENT ? link_target(about->path, target) : NULL;
    const bool no_path = error_number == ELOOP || error_number == ENAMETOOLONG;
    if (led != NULL)
        return trm_fail(err, TRM_ERR_NO_INPUT, "%s '%s': is a link to '%s', and no such file is there",
                        about->kind, about->path, led);
    return trm_fail(err, no_path ? TRM_ERR_NO_INPUT : trm_status_of_errno(error_number), "%s '%s': %s",
                    about->kind, about->path,
                    error_number == ENOENT ? "No such file" : strerror(error_number));
}

trm_status trm_inspect_regular(const trm_named_file *about, int *file, int64_t *bytes, trm_error *err)
{
    struct stat found;
    *file = -1;
    if (stat(about->path, &found) != 0)
        return trm_inspect_unopened(about, errno, err);
    if (!S_ISREG(found.st_mode)) /* not even opened: that may do something to a device */
        return trm_fail(err, TRM_ERR_NO_INPUT, "%s '%s': is %s, needs a file", about->kind, about->path,
                        kind_of(found.st_mode));
    *file = open(about->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0)
        return trm_inspect_unopened(about, errno, err);
    if (fstat(*file, &found) != 0 || !S_ISREG(found.st_mode)) {
        close(*file);
        *file = -1;
        return trm_fail(err, TRM_ERR_NO_INPUT, "%s '%s': is no file any more", about->kind, about->path);
    }
    *bytes = (int64_t)found.st_size;
    return TRM_OK;
}

/* Does a writer hold HDF5's lock? Where locks don't work, or are switched off as HDF5 knows it, nobody does.
 */
static bool is_locked(int file)
{
    const char *locking = getenv("HDF5_USE_FILE_LOCKING");
    if (locking != NULL && (strcasecmp(locking, "FALSE") == 0 || strcmp(locking, "0") == 0))
        return false;
    return flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK; /* closing the file gives it back */
}

/* What to do with a file that is not HDF5: the remedy of its format makes a store of it, which is not what these are. */
static const char *remedy_of(const char *kind, const char *of_stores)
{
    static const struct {
        const char *kind, *remedy;
    } others[] = {
        {"result", "a result is what a job of trimine wrote by -o"},
        {"triplets",
         "triplets are what trimine mine wrote by -o, or row ids in /triplets/anchor, positive and "
         "negative, written with h5py"},
        {"packed triplets", "they are embeddings in /anchor, /positive and /negative, written with h5py"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(kind, others[i].kind) == 0)
            return others[i].remedy;
    return of_stores;
}

/* Causes that are known without HDF5, and better than its own. */
static trm_status check_bytes(const trm_named_file *about, int file, int64_t bytes, trm_error *err)
{
    const char *what = NULL, *remedy = NULL;
    char version[TRM_H5_VERSION];
    const trm_superblock found = trm_superblock_look(file, bytes);
    if (is_locked(file))
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': another process has it open for writing: close it there first "
                        "(HDF5_USE_FILE_LOCKING=FALSE reads it all the same)",
                        about->kind, about->path);
    if (!found.found) {
        trm_first_bytes_guess(file, bytes, &what, &remedy);
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': not an HDF5 file but %s; %s", about->kind, about->path,
                        what, remedy_of(about->kind, remedy));
    }
    trm_h5_version(version);
    if (found.version > TRM_NEWEST_SUPERBLOCK)
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': written by a newer HDF5 than the %s linked (superblock version %d); h5repack of "
            "that HDF5 writes an older form",
            about->kind, about->path, version, found.version);
    if (found.open_for_writing)
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': is open for writing, or its writer was killed: close it there, or, where nobody "
            "writes, clear the mark with: h5clear -s FILE",
            about->kind, about->path);
    if (found.cut)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': truncated HDF5 file: it ends within its first bytes",
                        about->kind, about->path);
    if (found.end > bytes)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': truncated HDF5 file: it has %" PRId64 " bytes of %" PRId64
                        ": copy it again, or its writer has not finished",
                        about->kind, about->path, bytes, found.end);
    if (found.root_unwritten)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': was never finished: its writer was killed, or has not written all yet",
                        about->kind, about->path);
    return TRM_OK;
}

static trm_status open_h5(const trm_named_file *about, hid_t *file, trm_error *err)
{
    char why[256] = {0}, version[TRM_H5_VERSION];
    *file = trm_h5_open_serial(about->path, why, sizeof why);
    if (*file >= 0)
        return TRM_OK;
    trm_h5_version(version);
    if (strstr(why, "version") != NULL)
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': can't be opened: written by a newer HDF5 than the %s linked, not finished by its "
            "writer, or damaged (%s)",
            about->kind, about->path, version, why);
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': damaged HDF5 file (%s)", about->kind, about->path, why);
}

trm_status trm_inspect_open(const trm_named_file *about, hid_t *file, trm_error *err)
{
    int raw = -1;
    int64_t bytes = 0;
    *file = -1;
    trm_status status = trm_inspect_regular(about, &raw, &bytes, err);
    if (status == TRM_OK)
        status = check_bytes(about, raw, bytes, err);
    if (raw >= 0)
        close(raw);
    return status == TRM_OK ? open_h5(about, file, err) : status;
}

/* ---- listing ---- */

enum { LISTED_NAMES = 12, LOOKED_AT = 1000, DEEPEST = 8 };

typedef struct listing {
    char *text;
    size_t used;
    int names, looked_at;
} listing;

static void list_item(listing *to, const char *path, const char *about)
{
    if (to->names == LISTED_NAMES)
        about = path = "...";
    if (to->names > LISTED_NAMES)
        return;
    const size_t room = TRM_LISTED_BYTES - to->used;
    const int wrote = snprintf(to->text + to->used, room, "%s%s%s", to->names > 0 ? ", " : "", path,
                               about == path ? "" : about);
    to->used += wrote < 0 ? 0 : (size_t)wrote < room ? (size_t)wrote : room - 1;
    to->names++;
}

/* " (60 x 8)"; the shape of a virtual dataset is not asked for: HDF5 would open its sources. */
static void describe(hid_t dataset, char *text, size_t size)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t creation = H5Dget_create_plist(dataset);
    const bool virtual = creation < 0 || H5Pget_layout(creation) == H5D_VIRTUAL;
    hid_t space = virtual ? -1 : H5Dget_space(dataset);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
    size_t used = (size_t)snprintf(text, size, "%s",
                                   virtual     ? " (virtual"
                                   : rank <= 0 ? " (one value"
                                               : " (");
    for (int d = 0; d < rank && used < size; d++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%" PRIu64, d > 0 ? " x " : "", (uint64_t)dims[d]);
    snprintf(text + (used < size ? used : size - 2), size - (used < size ? used : size - 2), ")");
    trm_h5_close(space);
    trm_h5_close(creation);
}

static void list_group(listing *to, hid_t group, const char *path, int depth);

static void list_link(listing *to, hid_t group, const char *path, const char *name, int depth)
{
    enum { PATH = 400, SHAPE = 96 };
    char full[PATH], about[SHAPE];
    H5L_info_t link;
    snprintf(full, sizeof full, "%s/%s", path, name);
    if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0)
        return;
    if (link.type != H5L_TYPE_HARD) {
        list_item(to, full, " (a link)");
        return;
    }
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (H5Iget_type(object) == H5I_DATASET) {
        describe(object, about, sizeof about);
        list_item(to, full, about);
    } else if (H5Iget_type(object) == H5I_GROUP && depth < DEEPEST) {
        list_group(to, object, full, depth + 1);
    }
    trm_h5_close(object);
}

static void list_group(listing *to, hid_t group, const char *path, int depth)
{
    enum { NAME = 256 };
    char name[NAME];
    H5G_info_t about;
    if (H5Gget_info(group, &about) < 0)
        return;
    for (hsize_t i = 0; i < about.nlinks && to->names <= LISTED_NAMES && to->looked_at++ < LOOKED_AT; i++)
        if (H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) >=
            0)
            list_link(to, group, path, name, depth);
}

void trm_inspect_list(hid_t group, const char *path, char text[TRM_LISTED_BYTES])
{
    listing to = {.text = text};
    text[0] = '\0';
    list_group(&to, group, path, 0);
    if (to.names == 0)
        snprintf(text, TRM_LISTED_BYTES, "no datasets");
}
