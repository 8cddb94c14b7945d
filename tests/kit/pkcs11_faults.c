/* A PKCS #11 library that passes on to another one and has faults on request: what a token does when it is pulled out, is slow, or is
 * about to be locked. Each call reads the words of the file PKCS11_FAULTS:
 *   gone            no token is there, and what is asked of it fails
 *   sign=N          C_Sign fails with the code N; sign-once=N: the next time only
 *   slow=N          C_Sign takes N milliseconds more
 *   final-try       the token says that the next wrong PIN locks it
 *   no-sha256       CKM_SHA256_RSA_PKCS is not there
 *   leaky           keys are made extractable
 *   read-only       nothing is made or destroyed
 * Each PIN that is shown adds a line to the file PKCS11_LOG, "ok" or "refused".
 *
 *   cc -shared -fPIC $(pkg-config --cflags p11-kit-1) pkcs11_faults.c -o faults.so
 */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static CK_FUNCTION_LIST real, ours;

static int Fault(const char* word, long* value) {
  char text[512] = {0};
  FILE* file = fopen(getenv("PKCS11_FAULTS"), "r");
  if (file == NULL) return 0;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = 0;
  for (char* at = strtok(text, " \n"); at != NULL; at = strtok(NULL, " \n")) {
    const size_t length = strlen(word);
    if (strncmp(at, word, length) != 0 || (at[length] != 0 && at[length] != '=')) continue;
    if (value != NULL && at[length] == '=') *value = strtol(at + length + 1, NULL, 0);
    return 1;
  }
  return 0;
}

static CK_RV GetSlotList(CK_BBOOL present, CK_SLOT_ID* list, CK_ULONG* count) {
  if (Fault("gone", NULL) && present) {
    *count = 0;
    return CKR_OK;
  }
  return real.C_GetSlotList(present, list, count);
}

static CK_RV GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  const CK_RV rv = real.C_GetTokenInfo(slot, info);
  if (rv == CKR_OK && Fault("final-try", NULL)) info->flags |= CKF_USER_PIN_FINAL_TRY;
  return rv;
}

static CK_RV GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
  if (type == CKM_SHA256_RSA_PKCS && Fault("no-sha256", NULL)) return CKR_MECHANISM_INVALID;
  return real.C_GetMechanismInfo(slot, type, info);
}

static CK_RV OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void* app, CK_NOTIFY notify, CK_SESSION_HANDLE* session) {
  if (Fault("gone", NULL)) return CKR_TOKEN_NOT_PRESENT;
  return real.C_OpenSession(slot, flags, app, notify, session);
}

static CK_RV Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR* pin, CK_ULONG size) {
  const CK_RV rv = real.C_Login(session, user, pin, size);
  FILE* file = fopen(getenv("PKCS11_LOG"), "a");
  if (file != NULL) {
    fputs(rv == CKR_OK ? "ok\n" : "refused\n", file);
    fclose(file);
  }
  return rv;
}

static CK_RV Sign(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size, CK_BYTE* signature, CK_ULONG* length) {
  long value = 0;
  if (Fault("gone", NULL)) return CKR_DEVICE_REMOVED;
  if (Fault("slow", &value)) usleep((useconds_t)value * 1000);
  if (Fault("sign", &value)) return (CK_RV)value;
  if (Fault("sign-once", &value)) {
    fclose(fopen(getenv("PKCS11_FAULTS"), "w"));
    return (CK_RV)value;
  }
  return real.C_Sign(session, data, size, signature, length);
}

static CK_RV GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* open, CK_ULONG opens, CK_ATTRIBUTE* secret,
                             CK_ULONG secrets, CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
  if (Fault("read-only", NULL)) return CKR_TOKEN_WRITE_PROTECTED;
  if (Fault("leaky", NULL)) {
    for (CK_ULONG i = 0; i < secrets; ++i) {
      if (secret[i].type == CKA_EXTRACTABLE) *(CK_BBOOL*)secret[i].pValue = CK_TRUE;
    }
  }
  return real.C_GenerateKeyPair(session, mechanism, open, opens, secret, secrets, public_key, private_key);
}

static CK_RV DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  if (Fault("read-only", NULL)) return CKR_TOKEN_WRITE_PROTECTED;
  return real.C_DestroyObject(session, object);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  void* library = dlopen(getenv("PKCS11_REAL"), RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = library == NULL ? NULL : (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
  CK_FUNCTION_LIST* found = NULL;
  if (get == NULL || get(&found) != CKR_OK) return CKR_GENERAL_ERROR;
  real = ours = *found;
  ours.C_GetSlotList = GetSlotList;
  ours.C_GetTokenInfo = GetTokenInfo;
  ours.C_GetMechanismInfo = GetMechanismInfo;
  ours.C_OpenSession = OpenSession;
  ours.C_Login = Login;
  ours.C_Sign = Sign;
  ours.C_GenerateKeyPair = GenerateKeyPair;
  ours.C_DestroyObject = DestroyObject;
  *list = &ours;
  return CKR_OK;
}
