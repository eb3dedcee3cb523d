/* Before any work: may the output be written, and would it destroy an input? */
#include "base/alloc.h"
#include "par/agree.h"
#include "store/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool trm_output_is_same(const char *path, const char *other)
{
    struct stat a, b;
    if (stat(path, &a) == 0 && stat(other, &b) == 0 && same_file(&a, &b))
        return true;
    char *folder = trm_output_folder(path), *other_folder = trm_output_folder(other);
    const bool same = strcmp(trm_output_name(path), trm_output_name(other)) == 0 && folder != NULL &&
                      other_folder != NULL && stat(folder, &a) == 0 && stat(other_folder, &b) == 0 &&
                      same_file(&a, &b);
    trm_free(folder);
    trm_free(other_folder);
    return same;
}

/* Is the output this input, or a file in this input folder? */
static bool is_input(const struct stat *output, const char *input)
{
    struct stat about;
    if (stat(input, &about) != 0)
        return false; /* opening the store says so, better */
    if (!S_ISDIR(about.st_mode))
        return same_file(output, &about);
    DIR *folder = opendir(input);
    bool found = false;
    if (folder == NULL)
        return false;
    for (struct dirent *item = readdir(folder); item != NULL && !found; item = readdir(folder))
        found = fstatat(dirfd(folder), item->d_name, &about, 0) == 0 && S_ISREG(about.st_mode) &&
                same_file(output, &about);
    closedir(folder);
    return found;
}

static trm_status check_folder(const char *path, const char *folder, const char *temporary, trm_error *err)
{
    struct stat about;
    if (stat(folder, &about) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return trm_fail(err, TRM_ERR_CREATE, "output '%s': no folder '%s'", path, folder);
        return trm_fail(err, trm_status_of_errno(errno), "output '%s': %s", path, strerror(errno));
    }
    if (!S_ISDIR(about.st_mode))
        return trm_fail(err, TRM_ERR_CREATE, "output '%s': '%s' is not a folder", path, folder);
    /* Only trying tells: root passes every access check, and a file system may be mounted read-only. */
    int file = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        int reason = errno;
        trm_status status = trm_status_of_errno(reason);
        return trm_fail(err, status == TRM_ERR_PERMISSION ? status : TRM_ERR_CREATE,
                        "output '%s': can't create a file in '%s': %s", path, folder, strerror(reason));
    }
    close(file);
    unlink(temporary);
    return TRM_OK;
}

static trm_status check(const char *path, bool overwrite, int inputs, const char *const *input,
                        trm_error *err)
{
    struct stat about;
    if (path[0] == '\0')
        return trm_fail(err, TRM_ERR_USAGE, "output: empty file name");
    if (path[strlen(path) - 1] == '/')
        return trm_fail(err, TRM_ERR_CREATE, "output '%s' is a folder", path);
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode))
            return trm_fail(err, TRM_ERR_CREATE, "output '%s' is a folder", path);
        for (int i = 0; i < inputs; i++)
            if (is_input(&about, input[i]))
                return trm_fail(err, TRM_ERR_USAGE, "output '%s' is one of the inputs ('%s')", path,
                                input[i]);
        if (!overwrite)
            return trm_fail(err, TRM_ERR_CREATE, "output '%s' exists; give --overwrite to replace it", path);
        if (!S_ISREG(about.st_mode))
            return trm_fail(err, TRM_ERR_CREATE, "output '%s' is not a regular file", path);
    } else if (lstat(path, &about) == 0) {
        return trm_fail(err, TRM_ERR_CREATE, "output '%s' is a symbolic link that leads nowhere", path);
    }
    char *folder = trm_output_folder(path), *temporary = trm_output_beside(path, "tmp");
    trm_status status = folder == NULL || temporary == NULL ? trm_fail_memory(err, "a file name", 1, 1)
                                                            : check_folder(path, folder, temporary, err);
    trm_free(folder);
    trm_free(temporary);
    return status;
}

trm_status trm_output_check(MPI_Comm comm, const char *path, bool overwrite, int inputs,
                            const char *const *input, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    int rank = 0;
    err = err == NULL ? &own : err;
    MPI_Comm_rank(comm, &rank);
    return trm_agree(comm, rank == 0 ? check(path, overwrite, inputs, input, err) : TRM_OK, err);
}
