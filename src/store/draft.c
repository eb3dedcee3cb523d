/* New files on their way to a claimed path; see claim.h. */
#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "store/claim.h"
#include "store/h5.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST_DIGITS = 8, DIGITS = 24, KEPT_NAMES = 1000 };
static const int64_t a_day = 24 * 60 * 60;

/* ---- names ---- */

void trm_host_digits(char digits[HOST_DIGITS + 1])
{
    char host[256] = "", hash[33];
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    gethostname(host, sizeof host - 1);
    trm_hash_sum_add(&sum, host, strlen(host));
    trm_hash_sum_text(&sum, hash);
    memcpy(digits, hash, HOST_DIGITS);
    digits[HOST_DIGITS] = '\0';
}

static void name_draft(const char *name, char draft[NAME_MAX + 1])
{
    char host[HOST_DIGITS + 1], what[32];
    uint64_t number = 0;
    trm_host_digits(host);
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number) {
        struct timespec now; /* a name that is taken is tried again */
        clock_gettime(CLOCK_MONOTONIC, &now);
        number = (uint64_t)now.tv_nsec << 32 | (uint64_t)getpid();
    }
    snprintf(what, sizeof what, "tmp-%s%016llx", host, (unsigned long long)number);
    trm_name_beside(name, what, draft);
}

/* The digits of a draft of the target or of one of its parts; NULL where the name is not one's. */
static const char *digits_of(const char *target, const char *name)
{
    static const char piece[] = ".piece-", mark[] = ".trimine-tmp-";
    char beside[NAME_MAX + 1];
    trm_name_beside(target, "tmp-", beside);
    const char *at = name + strlen(beside);
    if (strncmp(name, beside, strlen(beside)) != 0) {
        if (name[0] != '.' || strncmp(name + 1, target, strlen(target)) != 0)
            return NULL;
        at = name + 1 + strlen(target);
        if (strncmp(at, piece, strlen(piece)) != 0)
            return NULL;
        at += strlen(piece);
        const size_t number = strspn(at, "0123456789");
        at += number;
        if (number == 0 || strncmp(at, mark, strlen(mark)) != 0)
            return NULL;
        at += strlen(mark);
    }
    return strlen(at) == DIGITS && strspn(at, "0123456789abcdef") == DIGITS ? at : NULL;
}

/* ---- what killed jobs left ---- */

/* Of another host, and changed less than a day ago? By the file system's own clock: the lock file is new. */
static bool may_be_alive_elsewhere(const trm_claim *claim, const char *digits, const struct stat *about)
{
    char host[HOST_DIGITS + 1];
    struct stat now;
    trm_host_digits(host);
    return strncmp(digits, host, HOST_DIGITS) != 0 &&
           (fstat(claim->lock, &now) != 0 || now.st_mtime - about->st_mtime < a_day);
}

static void remove_draft(const trm_claim *claim, const char *name, const char *digits)
{
    struct stat about;
    const int file = openat(claim->directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
        !may_be_alive_elsewhere(claim, digits, &about) && trm_lock_try(file) == TRM_LOCK_TAKEN &&
        trm_name_leads_to(claim->directory, name, file))
        unlinkat(claim->directory, name, 0);
    close(file);
}

bool trm_drafts_clean(const trm_claim *claim)
{
    bool any = false;
    if (claim->lock < 0)
        return false; /* nobody can tell a leftover from another job's work */
    const int again = openat(claim->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = again < 0 ? NULL : fdopendir(again);
    if (folder == NULL) {
        if (again >= 0)
            close(again);
        return false;
    }
    for (struct dirent *item = readdir(folder); item != NULL; item = readdir(folder)) {
        const char *digits = digits_of(claim->name, item->d_name);
        if (digits == NULL)
            continue;
        any = true;
        remove_draft(claim, item->d_name, digits);
    }
    closedir(folder);
    return any;
}

/* ---- making them ---- */

static trm_status cannot_create(const trm_claim *claim, trm_error *err)
{
    const trm_status why = trm_status_of_errno(errno);
    return trm_fail(err, why == TRM_ERR_PERMISSION || why == TRM_ERR_IO ? why : TRM_ERR_CREATE,
                    "%s '%s': can't create a file in '%s': %s", claim->kind, claim->path, claim->folder,
                    strerror(errno));
}

static trm_status make(trm_draft *draft, trm_error *err)
{
    const trm_claim *claim = draft->claim;
    do {
        name_draft(claim->name, draft->name);
        draft->file =
            openat(claim->directory, draft->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    } while (draft->file < 0 && errno == EEXIST);
    if (draft->file < 0)
        return cannot_create(claim, err);
    (void)trm_lock_try(draft->file); /* so that it is no leftover; where locks don't work nobody cleans */
    return TRM_OK;
}

/* Opens rank 0's draft. Its name is random: who finds it, has the same folder. theirs: device and inode
 * there; on another host the device may have another number. */
static trm_status find(trm_draft *draft, const uint64_t theirs[2], trm_error *err)
{
    const trm_claim *claim = draft->claim;
    struct stat about;
    char *path = trm_format("%s/%s", claim->folder, draft->name);
    if (path == NULL)
        return trm_fail_memory(err, "a file name", PATH_MAX, 1);
    draft->file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    const int reason = errno;
    trm_free(path);
    if (draft->file < 0 && reason == ENOENT)
        return trm_fail(
            err, TRM_ERR_CREATE,
            "%s '%s': in folder '%s' rank 0's new file can't be seen: all ranks need the same folder",
            claim->kind, claim->path, claim->folder);
    errno = reason;
    if (draft->file < 0)
        return cannot_create(claim, err);
    if (fstat(draft->file, &about) != 0 || !S_ISREG(about.st_mode) ||
        ((uint64_t)about.st_dev == theirs[0] && (uint64_t)about.st_ino != theirs[1]))
        return trm_fail(err, TRM_ERR_IO, "%s '%s': its new file '%s' was replaced by another", claim->kind,
                        claim->path, draft->name);
    return TRM_OK;
}

trm_status trm_draft_open(MPI_Comm comm, trm_claim *claim, trm_draft *draft, trm_error *err)
{
    int rank = 0;
    struct stat about;
    uint64_t theirs[2] = {0, 0};
    MPI_Comm_rank(comm, &rank);
    *draft = (trm_draft)TRM_DRAFT_INIT;
    draft->comm = comm;
    draft->claim = claim;
    trm_status status = TRM_OK;
    if (rank == 0) {
        status = make(draft, err);
        if (status == TRM_OK && fstat(draft->file, &about) == 0) {
            theirs[0] = (uint64_t)about.st_dev;
            theirs[1] = (uint64_t)about.st_ino;
        }
    }
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        MPI_Bcast(draft->name, (int)sizeof draft->name, MPI_CHAR, 0, comm);
        MPI_Bcast(theirs, 2, MPI_UINT64_T, 0, comm);
        status = trm_agree(comm, rank == 0 ? TRM_OK : find(draft, theirs, err), err);
    }
    if (status != TRM_OK)
        trm_draft_close(draft);
    return status;
}

void trm_draft_path(const trm_draft *draft, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", draft->file);
}

trm_status trm_draft_nameless(const trm_claim *claim, int *file, trm_error *err)
{
    char name[NAME_MAX + 1];
    *file = open(claim->folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (*file >= 0)
        return TRM_OK;
    do { /* not every file system can do that */
        name_draft(claim->name, name);
        char *path = trm_format("%s/%s", claim->folder, name);
        if (path == NULL)
            return trm_fail_memory(err, "a file name", PATH_MAX, 1);
        *file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*file >= 0)
            unlink(path);
        trm_free(path);
    } while (*file < 0 && errno == EEXIST);
    return *file >= 0 ? TRM_OK : cannot_create(claim, err);
}

/* ---- giving them the target's name ---- */

static bool not_known(int error_number)
{
    return error_number == EINVAL || error_number == ENOSYS || error_number == ENOTSUP ||
           error_number == EOPNOTSUPP || error_number == EPERM;
}

/* Renames where there is nothing of the new name. False: there is, or it failed (errno). */
static bool rename_free(const trm_draft *draft, const char *name)
{
    const int directory = draft->claim->directory;
    struct stat about;
    if (renameat2(directory, draft->name, directory, name, RENAME_NOREPLACE) == 0)
        return true;
    if (!not_known(errno))
        return false;
    /* A repeated request of a network file system may find its own success in its way. */
    if (linkat(directory, draft->name, directory, name, 0) == 0 ||
        (errno == EEXIST && trm_name_leads_to(directory, name, draft->file))) {
        unlinkat(directory, draft->name, 0);
        return true;
    }
    if (!not_known(errno) && errno != EMLINK)
        return false;
    if (fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return renameat(directory, draft->name, directory, name) == 0;
}

static trm_status cannot_rename(const trm_draft *draft, trm_error *err)
{
    const trm_claim *claim = draft->claim;
    return trm_fail(err, TRM_ERR_CREATE, "%s '%s': can't be renamed from '%s': %s", claim->kind, claim->path,
                    draft->name, strerror(errno));
}

/* The target can't be replaced, or must not: what took hours is kept under another name. */
static trm_status keep_elsewhere(const trm_draft *draft, const char *why, trm_error *err)
{
    trm_claim *claim = draft->claim;
    for (int i = 1; i < KEPT_NAMES; i++) {
        char name[NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s.%d", NAME_MAX - 5, claim->name, i);
        claim->kept_elsewhere = rename_free(draft, name);
        if (claim->kept_elsewhere)
            return trm_fail(err, TRM_ERR_CREATE, "%s '%s' %s; this job's is whole in '%s/%s'", claim->kind,
                            claim->path, why, claim->folder, name);
        if (errno != EEXIST)
            break;
    }
    return trm_fail(err, TRM_ERR_CREATE, "%s '%s' %s", claim->kind, claim->path, why);
}

/* Where locks don't work, two jobs may have one target: the last rename wins. */
static bool is_result(const trm_claim *claim)
{
    int64_t complete = 0;
    char format[64] = "", path[32], why[64];
    struct stat about;
    const int there = openat(claim->directory, claim->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (there < 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", there);
    const bool regular = fstat(there, &about) == 0 && S_ISREG(about.st_mode);
    hid_t file = regular ? trm_h5_open_serial(path, why, sizeof why) : -1;
    const bool result = file >= 0 && trm_h5_attribute_int(file, "complete", &complete) && complete == 1 &&
                        trm_h5_attribute_text(file, "format", format, sizeof format) &&
                        strncmp(format, "trimine-", 8) == 0;
    if (file >= 0)
        H5Fclose(file);
    close(there);
    return result;
}

static trm_status rename_draft(trm_draft *draft, trm_error *err)
{
    static const char exists[] = "came to exist while this job ran, and is left as it is";
    trm_claim *claim = draft->claim;
    struct stat about;
    if (!trm_name_leads_to(claim->directory, draft->name, draft->file))
        return trm_fail(err, TRM_ERR_IO,
                        "%s '%s': its new file '%s' was removed or replaced while it was written",
                        claim->kind, claim->path, draft->name);
    if (!claim->replace) {
        if (rename_free(draft, claim->name))
            return TRM_OK;
        if (errno != EEXIST)
            return cannot_rename(draft, err);
        if (claim->lock >= 0 || !is_result(claim))
            return keep_elsewhere(draft, exists, err);
        claim->replaced = true;
    }
    if (fstatat(claim->directory, claim->name, &about, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(about.st_mode))
        return keep_elsewhere(draft, exists, err);
    if (renameat(claim->directory, draft->name, claim->directory, claim->name) == 0)
        return TRM_OK;
    if (errno == EPERM || errno == EACCES) /* another user's file in a sticky folder */
        return keep_elsewhere(draft, "is another user's and can't be replaced", err);
    return cannot_rename(draft, err);
}

trm_status trm_draft_place(trm_draft *draft, trm_error *err)
{
    const trm_claim *claim = draft->claim;
    if (fsync(draft->file) != 0)
        return trm_fail(err, TRM_ERR_IO, "%s '%s': fsync failed: %s", claim->kind, claim->path,
                        strerror(errno));
    const trm_status status = rename_draft(draft, err);
    if (status != TRM_OK)
        return status;
    /* Some folders can't be brought to the disk, and say so: nothing to be done there. */
    if (fsync(claim->directory) != 0 && errno != EINVAL && errno != EBADF)
        return trm_fail(err, TRM_ERR_IO, "%s '%s': fsync of '%s': %s", claim->kind, claim->path,
                        claim->folder, strerror(errno));
    return TRM_OK;
}

void trm_draft_close(trm_draft *draft)
{
    if (draft->file < 0)
        return;
    const int directory = draft->claim->directory;
    if (directory >= 0 && trm_name_leads_to(directory, draft->name, draft->file)) /* it was not placed */
        unlinkat(directory, draft->name, 0);
    close(draft->file);
    draft->file = -1;
}
