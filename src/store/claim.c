/* Taking and giving up claims; see claim.h.
 *
 * The lock file's life: whoever makes it (O_EXCL) writes into it who he is, then locks it, then looks whether
 * its name still leads to it. Whoever finds one tries to lock it: held, he is refused; free, its maker is
 * gone, or has not come to lock it yet; he removes it, while he holds its lock, and begins anew. So a lock
 * counts only on the file that has the name, and of those who come at the same moment one gets it. */
#include "store/claim.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "store/store_inner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MOST_TRIES = 1000, OWNER = 256 };

/* What this process has to clean up where it is aborted in the middle of a call that knows one of them. */
static trm_claim *all_claims;

/* ---- locks ---- */

/* Open file description locks: they belong to the open file, so a library that opens and closes the same file
 * does not lose them. */
trm_lock trm_lock_try(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int failed;
    do
        failed = fcntl(file, F_OFD_SETLK, &whole);
    while (failed != 0 && errno == EINTR);
    if (failed == 0)
        return TRM_LOCK_TAKEN;
    return errno == EAGAIN || errno == EACCES ? TRM_LOCK_HELD : TRM_LOCK_NONE;
}

static bool is_held(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static void describe_self(char text[OWNER])
{
    const char *job = getenv("SLURM_JOB_ID");
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    snprintf(text, OWNER, "process %ld on %s%s%.32s\n", (long)getpid(), host,
             job != NULL ? ", Slurm job " : "", job != NULL ? job : "");
}

static trm_status refuse_held(const trm_claim *claim, int lock, trm_error *err)
{
    char owner[OWNER] = "";
    const ssize_t length = pread(lock, owner, sizeof owner - 1, 0);
    owner[length > 0 ? length : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    return trm_fail(err, TRM_ERR_CREATE, "%s '%s': a running job has it already: %s", claim->kind,
                    claim->path, owner[0] != '\0' ? owner : "process unknown");
}

static trm_status refuse_strange(const trm_claim *claim, const char *name, trm_error *err)
{
    return trm_fail(err, TRM_ERR_CREATE,
                    "%s '%s': '%s/%s' is in the way: it is not a lock file of trimine's; remove it",
                    claim->kind, claim->path, claim->folder, name);
}

static trm_status cannot_create(const trm_claim *claim, trm_error *err)
{
    const trm_status status = trm_status_of_errno(errno);
    return trm_fail(err, status == TRM_ERR_PERMISSION ? status : TRM_ERR_CREATE,
                    "%s '%s': can't create a file in '%s': %s", claim->kind, claim->path, claim->folder,
                    strerror(errno));
}

/* One try to make a lock file and lock it. *done: it is over, well or not. */
static trm_status make_lock(trm_claim *claim, const char *name, bool *done, trm_error *err)
{
    char self[OWNER];
    const int file =
        openat(claim->directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    *done = file >= 0 || errno != EEXIST;
    if (file < 0)
        return *done ? cannot_create(claim, err) : TRM_OK;
    describe_self(self);
    const ssize_t length = (ssize_t)strlen(self);
    trm_lock lock = TRM_LOCK_NONE;
    trm_status status = TRM_OK;
    if (pwrite(file, self, (size_t)length, 0) != length)
        status = trm_fail(err, TRM_ERR_IO, "%s '%s': can't write '%s/%s': %s", claim->kind, claim->path,
                          claim->folder, name, strerror(errno));
    else
        lock = trm_lock_try(file);
    const bool has_name = trm_name_leads_to(claim->directory, name, file);
    if (status == TRM_OK && lock == TRM_LOCK_TAKEN && has_name) {
        claim->lock = file;
        return TRM_OK;
    }
    *done = status != TRM_OK || lock == TRM_LOCK_NONE;
    if (*done && has_name)
        unlinkat(claim->directory, name, 0);
    close(file);
    return status;
}

/* One look at a lock file that is there. *done: it is over, well (without a lock) or not. */
static trm_status look_at_lock(trm_claim *claim, const char *name, bool *done, trm_error *err)
{
    struct stat about;
    bool writable = !claim->looks;
    int file = writable ? openat(claim->directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (claim->looks || (file < 0 && errno == EACCES)) { /* another user's */
        writable = false;
        file = openat(claim->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    *done = file >= 0 || errno != ENOENT;
    if (file < 0)
        return *done ? refuse_strange(claim, name, err) : TRM_OK;
    trm_status status = TRM_OK;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) || about.st_nlink > 1)
        status = refuse_strange(claim, name, err);
    else if (!writable && is_held(file))
        status = refuse_held(claim, file, err);
    else if (writable) {
        const trm_lock lock = trm_lock_try(file);
        if (lock == TRM_LOCK_HELD)
            status = refuse_held(claim, file, err);
        else if (lock == TRM_LOCK_TAKEN) {
            const bool has_name = trm_name_leads_to(claim->directory, name, file);
            claim->after_kill = claim->after_kill || has_name;
            /* Where it may not be removed (a sticky folder), the job goes on without a lock. */
            *done = has_name && unlinkat(claim->directory, name, 0) != 0 && errno != ENOENT;
        }
    }
    close(file);
    return status;
}

static trm_status take_lock(trm_claim *claim, trm_error *err)
{
    char name[NAME_MAX + 1];
    bool done = false;
    trm_status status = TRM_OK;
    trm_name_beside(claim->name, "lock", name);
    for (int tries = 0; tries < MOST_TRIES && !done && claim->lock < 0 && status == TRM_OK; tries++) {
        status = make_lock(claim, name, &done, err);
        if (status == TRM_OK && !done && claim->lock < 0)
            status = look_at_lock(claim, name, &done, err);
    }
    if (status == TRM_OK && !done && claim->lock < 0)
        status = trm_fail(err, TRM_ERR_IO, "%s '%s': '%s/%s' comes and goes: its lock can't be had",
                          claim->kind, claim->path, claim->folder, name);
    return status;
}

/* Could a lock be taken? */
static trm_status look_for_lock(trm_claim *claim, trm_error *err)
{
    char name[NAME_MAX + 1];
    bool done = false;
    trm_name_beside(claim->name, "lock", name);
    trm_status status = look_at_lock(claim, name, &done, err);
    if (status == TRM_OK && faccessat(claim->directory, ".", W_OK | X_OK, AT_EACCESS) != 0)
        status = cannot_create(claim, err);
    return status;
}

/* Refuses where another job holds the lock of that name in the claim's folder. */
static trm_status refuse_other(const trm_claim *claim, const char *name, trm_error *err)
{
    char beside[NAME_MAX + 1];
    struct stat about;
    trm_name_beside(name, "lock", beside);
    const int file = openat(claim->directory, beside, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return TRM_OK;
    const bool held = fstat(file, &about) == 0 && S_ISREG(about.st_mode) && is_held(file);
    const trm_status status = held ? refuse_held(claim, file, err) : TRM_OK;
    close(file);
    return status;
}

/* NAME.piece-K is a part of NAME (trm_claim_part), and covered by its lock. */
static trm_status refuse_part(const trm_claim *claim, trm_error *err)
{
    static const char mark[] = ".piece-";
    const char *at = NULL;
    for (const char *next = strstr(claim->name, mark); next != NULL; next = strstr(next + 1, mark))
        at = next;
    if (at == NULL || at == claim->name)
        return TRM_OK;
    char *whole = trm_format("%.*s", (int)(at - claim->name), claim->name);
    const trm_status status =
        whole == NULL ? trm_fail_memory(err, "a file name", 1, 1) : refuse_other(claim, whole, err);
    trm_free(whole);
    return status;
}

/* ---- what may be written ---- */

/* Is the output this input, or a file in this input folder? */
static bool is_input(const struct stat *output, const char *input)
{
    struct stat about;
    if (stat(input, &about) != 0)
        return false; /* opening the store says so, better */
    if (!S_ISDIR(about.st_mode))
        return output->st_dev == about.st_dev && output->st_ino == about.st_ino;
    DIR *folder = opendir(input);
    bool found = false;
    if (folder == NULL)
        return false;
    for (struct dirent *item = readdir(folder); item != NULL && !found; item = readdir(folder))
        found = fstatat(dirfd(folder), item->d_name, &about, 0) == 0 && S_ISREG(about.st_mode) &&
                output->st_dev == about.st_dev && output->st_ino == about.st_ino;
    closedir(folder);
    return found;
}

static trm_status check_existing(const trm_claim *claim, int inputs, const char *const *input, trm_error *err)
{
    struct stat about;
    if (fstatat(claim->directory, claim->name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return TRM_OK;
        const trm_status status = trm_status_of_errno(errno);
        return trm_fail(err, status == TRM_ERR_PERMISSION ? status : TRM_ERR_CREATE, "%s '%s': %s",
                        claim->kind, claim->path, strerror(errno));
    }
    for (int i = 0; i < inputs; i++)
        if (is_input(&about, input[i]))
            return trm_fail(err, TRM_ERR_USAGE, "%s '%s' is one of the inputs ('%s')", claim->kind,
                            claim->path, input[i]);
    if (!claim->replace)
        return trm_fail(err, TRM_ERR_CREATE, "%s '%s' exists; give --overwrite to replace it", claim->kind,
                        claim->path);
    return TRM_OK;
}

static trm_status open_folder(trm_claim *claim, trm_error *err)
{
    const char *folder = claim->folder;
    claim->directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (claim->directory < 0 && errno == EACCES) /* files may be made where they can't be listed */
        claim->directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (claim->directory >= 0)
        return TRM_OK;
    const int reason = errno;
    struct stat about;
    if (reason == ENOENT || (reason == ENOTDIR && stat(folder, &about) != 0))
        return trm_fail(err, TRM_ERR_CREATE, "%s '%s': no folder '%s'", claim->kind, claim->path, folder);
    if (reason == ENOTDIR)
        return trm_fail(err, TRM_ERR_CREATE, "%s '%s': '%s' is not a folder", claim->kind, claim->path,
                        folder);
    return trm_fail(err, trm_status_of_errno(reason), "%s '%s': '%s': %s", claim->kind, claim->path, folder,
                    strerror(reason));
}

/* Rank 0's part. What can be refused without making a file is refused first. */
static trm_status take(trm_claim *claim, int inputs, const char *const *input, trm_error *err)
{
    trm_status status = trm_path_resolve(claim->kind, claim->path, &claim->folder, &claim->name, err);
    if (status == TRM_OK && trm_name_is_own(claim->name))
        return trm_fail(err, TRM_ERR_CREATE,
                        "%s '%s': names of this kind are of trimine's own files: take another", claim->kind,
                        claim->path);
    if (status == TRM_OK)
        status = open_folder(claim, err);
    if (status == TRM_OK)
        status = check_existing(claim, inputs, input, err);
    if (status == TRM_OK)
        status = claim->looks ? look_for_lock(claim, err) : take_lock(claim, err);
    if (status == TRM_OK)
        status = refuse_part(claim, err);
    if (status == TRM_OK) /* a job that held the lock until now may have ended well */
        status = check_existing(claim, inputs, input, err);
    if (status == TRM_OK && trm_drafts_clean(claim))
        claim->after_kill = true;
    return status;
}

/* ---- for all ranks ---- */

/* Rank 0's text, new memory. Collective; where it could not be had, so on all ranks. */
static char *share(MPI_Comm comm, char *text)
{
    int length = text == NULL ? -1 : (int)strlen(text);
    MPI_Bcast(&length, 1, MPI_INT, 0, comm);
    if (length < 0)
        return NULL;
    if (trm_rank_of(comm) != 0)
        text = trm_alloc((int64_t)length + 1, 1);
    char spare[PATH_MAX]; /* where memory is out, this rank takes part all the same; no path is longer */
    MPI_Bcast(text != NULL ? text : spare, length + 1, MPI_CHAR, 0, comm);
    return text;
}

static trm_claim *new_claim(MPI_Comm comm, const char *kind, const char *path, bool replace)
{
    trm_claim *claim = trm_alloc_zero(1, sizeof *claim);
    if (claim == NULL)
        return NULL;
    *claim = (trm_claim){.comm = comm, .kind = kind, .replace = replace, .directory = -1, .lock = -1};
    claim->path = trm_format("%s", path);
    if (claim->path == NULL) {
        trm_free(claim);
        return NULL;
    }
    claim->next = all_claims;
    all_claims = claim;
    return claim;
}

/* Folder and name are there: the target is both. */
static trm_status join(trm_claim *claim, trm_error *err)
{
    const char *folder = claim->folder;
    if (folder != NULL && claim->name != NULL)
        claim->target = strcmp(folder, ".") == 0
                            ? trm_format("%s", claim->name)
                            : trm_format("%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", claim->name);
    return claim->target != NULL ? TRM_OK : trm_fail_memory(err, "a file name", PATH_MAX, 1);
}

/* claim: new, or NULL. */
static trm_status take_together(MPI_Comm comm, int inputs, const char *const *input, trm_claim **claim,
                                trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_status status = *claim == NULL ? trm_fail_memory(err, "a claim", 1, sizeof **claim) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = trm_agree(comm, trm_rank_of(comm) == 0 ? take(*claim, inputs, input, err) : TRM_OK, err);
    if (status == TRM_OK) {
        (*claim)->folder = share(comm, (*claim)->folder);
        (*claim)->name = share(comm, (*claim)->name);
        status = trm_agree(comm, join(*claim, err), err);
    }
    if (status != TRM_OK)
        trm_claim_release(claim);
    return status;
}

trm_status trm_claim_take(MPI_Comm comm, const char *kind, const char *path, bool overwrite, int inputs,
                          const char *const *input, trm_claim **claim, trm_error *err)
{
    *claim = new_claim(comm, kind, path, overwrite);
    return take_together(comm, inputs, input, claim, err);
}

trm_status trm_claim_look(MPI_Comm comm, const char *kind, const char *path, bool overwrite, int inputs,
                          const char *const *input, trm_claim **claim, trm_error *err)
{
    *claim = new_claim(comm, kind, path, overwrite);
    if (*claim != NULL)
        (*claim)->looks = true;
    return take_together(comm, inputs, input, claim, err);
}

/* Rank 0's part. */
static trm_status check_sources(const trm_claim *claim, const trm_sources *sources, trm_error *err)
{
    struct stat about;
    if (fstatat(claim->directory, claim->name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return TRM_OK; /* nothing is there */
    for (int64_t i = 0; i < sources->count; i++)
        if (is_input(&about, sources->file[i].path))
            return trm_fail(err, TRM_ERR_USAGE, "%s '%s' is one of the files that the store leads to ('%s')",
                            claim->kind, claim->path, sources->file[i].path);
    return TRM_OK;
}

trm_status trm_claim_check_store(const trm_claim *claim, const trm_store *store, trm_error *err)
{
    return trm_agree(claim->comm,
                     trm_rank_of(claim->comm) == 0 ? check_sources(claim, &store->sources, err) : TRM_OK,
                     err);
}

trm_status trm_claim_part(const trm_claim *whole, const char *suffix, trm_claim **part, trm_error *err)
{
    char *path = trm_format("%s%s", whole->path, suffix);
    *part = path == NULL ? NULL : new_claim(whole->comm, whole->kind, path, true);
    trm_status status = TRM_OK;
    if (*part == NULL)
        status = trm_fail_memory(err, "a claim", 1, sizeof **part);
    else {
        (*part)->folder = trm_format("%s", whole->folder);
        (*part)->name = trm_format("%s%s", whole->name, suffix);
        (*part)->borrowed = true;
        (*part)->directory = whole->directory;
        (*part)->lock = whole->lock;
        status = join(*part, err);
        if (status == TRM_OK && trm_rank_of(whole->comm) == 0)
            status = refuse_other(*part, (*part)->name, err);
    }
    trm_free(path);
    status = trm_agree(whole->comm, status, err);
    if (status != TRM_OK)
        trm_claim_release(part);
    return status;
}

static void remove_lock(const trm_claim *claim)
{
    char name[NAME_MAX + 1];
    if (claim->borrowed || claim->lock < 0)
        return;
    trm_name_beside(claim->name, "lock", name);
    if (trm_name_leads_to(claim->directory, name, claim->lock))
        unlinkat(claim->directory, name, 0);
}

void trm_claims_drop(void)
{
    for (const trm_claim *claim = all_claims; claim != NULL; claim = claim->next)
        remove_lock(claim);
}

void trm_claim_release(trm_claim **claim)
{
    trm_claim *old = *claim;
    if (old == NULL)
        return;
    trm_claim **at = &all_claims;
    while (*at != old)
        at = &(*at)->next;
    *at = old->next;
    remove_lock(old);
    if (!old->borrowed && old->lock >= 0)
        close(old->lock);
    if (!old->borrowed && old->directory >= 0)
        close(old->directory);
    trm_free(old->path);
    trm_free(old->folder);
    trm_free(old->name);
    trm_free(old->target);
    trm_free(old);
    *claim = NULL;
}

const char *trm_claim_target(const trm_claim *claim)
{
    return claim->target;
}

bool trm_claim_after_kill(const trm_claim *claim)
{
    return claim->after_kill;
}

double trm_claim_free_bytes(const trm_claim *claim)
{
    struct statvfs about;
    return fstatvfs(claim->directory, &about) == 0 ? (double)about.f_bavail * (double)about.f_frsize
                                                   : INFINITY;
}

bool trm_claim_replaced(const trm_claim *claim)
{
    return claim->replaced;
}

bool trm_claim_unwritten(const trm_claim *claim)
{
    return claim->unwritten;
}

bool trm_claim_kept_elsewhere(const trm_claim *claim)
{
    return claim->kept_elsewhere;
}
