#include "api/endpoints.h"

namespace sallyport::api {

Router MakeRouter(bool oauth, bool registration) {
  Router router;
  AddAssets(router);
  AddSessions(router);
  AddRevocations(router);
  AddLogin(router);
  AddSaml(router);
  AddSamlLogout(router);
  AddCliLogin(router);
  AddDevice(router);
  AddExchange(router);
  AddUnlock(router);
  AddBackchannel(router);
  AddGlobalRevocation(router);
  AddSsf(router);
  AddTokenRevocation(router);
  AddApprovals(router);
  AddEvents(router);
  AddPasskeys(router);
  AddReviews(router);
  AddPages(router);
  AddUpstreamIssuer(router);
  AddUpstreamLink(router);
  if (oauth) {
    AddOauthMetadata(router);
    AddOauthAuthorize(router);
    if (registration) AddOauthRegister(router);
  }
  return router;
}

}  // namespace sallyport::api
