/* The functions of LAPACK that are used, by their Fortran names: every library that offers it has these. Matrices are
 * column-major. Inner to kernel/. */
#ifndef TRM_KERNEL_LAPACK_H
#define TRM_KERNEL_LAPACK_H

/* QR factors, and the orthonormal columns of Q from them. */
extern void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
                    const int *lwork, int *info);
extern void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
                    double *work, const int *lwork, int *info);
/* Eigenvalues, ascending, and eigenvectors of a symmetric matrix, by divide and conquer. */
extern void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
                    double *work, const int *lwork, int *iwork, const int *liwork, int *info);

#endif
