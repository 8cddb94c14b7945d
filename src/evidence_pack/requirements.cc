#include "evidence_pack/requirements.h"

#include <algorithm>

namespace sallyport::evidence_pack {
namespace {

using enum Requirement::Automatic;
using enum Split;

constexpr Requirement kRequirements[] = {
    {"3.2.1", "Stored account data is kept to a minimum", whole, supports,
     "Sets the retention period and says why it is needed."},
    {"3.3.1", "No authentication data after authorization", whole, gateway, ""},
    {"3.3.2", "Authentication data before authorization is encrypted", whole, gateway, ""},
    {"3.3.3", "Issuers: authentication data by need", none, not_applicable,
     "Issuers show their own process; the gateway keeps none."},
    {"3.4.1", "Card numbers are masked when shown", part, gateway,
     "Documents the business need of each role that may see values in clear."},
    {"3.4.2", "No copying of card numbers over remote access", part, gateway,
     "Says how copying on the callers' own machines is prevented."},
    {"3.5.1", "Card numbers are unreadable where stored", whole, gateway, ""},
    {"3.5.1.1", "Hashes of card numbers are keyed", whole, gateway, ""},
    {"3.5.1.2", "Disk encryption is not the only protection", none, customer,
     "Shows how disks are protected beside the encryption of recordings."},
    {"3.6.1", "Keys are protected against disclosure", part, supports,
     "Names the custodians and where key-encrypting keys are kept."},
    {"3.6.1.1", "Service providers: cryptographic architecture", part, supports,
     "Adds the keys outside of the gateway to the inventory."},
    {"3.6.1.2", "Keys are stored in approved forms", part, supports,
     "Shows how the files or the module that hold keys are protected."},
    {"3.6.1.3", "Few people reach clear-text keys", part, customer, "Names the custodians."},
    {"3.6.1.4", "Keys are kept in few places", whole, supports, ""},
    {"3.7.1", "Strong keys are made", whole, gateway, ""},
    {"3.7.2", "Keys are distributed securely", none, customer,
     "Shows how keys from outside reach the gateway."},
    {"3.7.3", "Keys are stored securely", part, supports,
     "Shows how the files or the module that hold keys are protected."},
    {"3.7.4", "Keys are changed at the end of their period", part, gateway,
     "Sets the period of each key and says why."},
    {"3.7.5", "Keys are retired, replaced and destroyed", whole, gateway, ""},
    {"3.7.6", "Split knowledge for manual clear-text operations", none, customer,
     "Shows the procedure; the gateway has no manual clear-text operation."},
    {"3.7.7", "Keys cannot be substituted unnoticed", part, gateway,
     "Compares fingerprints with those that were kept elsewhere."},
    {"3.7.8", "Custodians accept their duty", none, customer, "Collects the acknowledgements."},
    {"3.7.9", "Service providers: guidance to customers", none, customer,
     "Gives customers that share keys the guidance."},
    {"4.2.1", "Strong cryptography over open networks", part, supports,
     "Scans the listeners, shows the networks outside of the gateway."},
    {"4.2.1.1", "Inventory of trusted keys and certificates", whole, gateway,
     "Adds certificates outside of the gateway."},
    {"4.2.1.2", "Wireless networks", none, not_applicable, "The gateway uses none."},
    {"4.2.2", "Card numbers in end-user messages", part, supports,
     "Says which connections are messaging, and shows messaging outside of the gateway."},
    {"7.2.1", "Access model by job and need", part, supports,
     "Confirms that the model follows the jobs there are."},
    {"7.2.2", "Access by job, least privilege", part, supports,
     "Confirms that each rule is needed; the rules without use are listed."},
    {"7.2.3", "Privileges are approved", part, supports,
     "Shows who approved grants that are in the configuration."},
    {"7.2.4", "Access reviewed every six months", part, supports,
     "Reviews the list, removes what is not needed, signs."},
    {"7.2.5", "Application and agent accounts: least privilege", part, supports,
     "Confirms that each agent needs what it may do."},
    {"7.2.5.1", "Application and agent accounts are reviewed", part, supports,
     "Sets the interval by a risk analysis, reviews, signs."},
    {"7.2.6", "Queries of stored card data by program and role only", whole, gateway, ""},
    {"7.3.1", "An access control system covers all components", part, gateway,
     "Shows the components that are not behind the gateway."},
    {"7.3.2", "It enforces what was assigned", whole, gateway, ""},
    {"7.3.3", "It denies by default", whole, gateway, ""},
    {"8.2.1", "Every person has an identity of their own", whole, supports, ""},
    {"8.2.2", "Shared accounts only by exception", whole, gateway, ""},
    {"8.2.3", "Service providers: factors of their own per customer", none, customer,
     "Shows how credentials of customers are kept apart."},
    {"8.2.4", "Changes of accounts are authorized", part, supports,
     "Shows the requests behind the changes at the identity provider."},
    {"8.2.5", "Leavers lose access at once", part, gateway,
     "Gives the list of leavers; the log says when each lost access."},
    {"8.2.6", "Inactive accounts are removed within 90 days", part, supports,
     "Removes them at the identity provider; adds accounts that never came."},
    {"8.2.7", "Access of third parties is limited and watched", part, supports,
     "Says which accounts are third parties'."},
    {"8.2.8", "Sessions lock after 15 idle minutes", whole, gateway, ""},
    {"8.3.1", "Authentication by at least one factor", part, supports,
     "Shows the identity provider's settings."},
    {"8.3.2", "Factors are protected in transit and storage", part, supports,
     "Shows the identity provider's settings."},
    {"8.3.4", "Lock-out after failed attempts", part, customer,
     "Shows the lock-out of the identity provider; the gateway keeps no passwords."},
    {"8.3.11", "Factors are bound to one person", part, customer,
     "Shows how factors are handed out."},
    {"8.4.1", "Multi-factor authentication for administrators", part, supports,
     "Shows the identity provider's settings for administrators."},
    {"8.4.2", "Multi-factor authentication into the environment", part, supports,
     "Shows the identity provider's settings for all users."},
    {"8.4.3", "Multi-factor authentication from outside", part, supports,
     "Shows remote access outside of the gateway."},
    {"8.5.1", "Multi-factor systems cannot be replayed or passed over", part, customer,
     "Shows the identity provider's design."},
    {"8.6.1", "Interactive use of system accounts", part, gateway,
     "Gives the reason of each exception."},
    {"8.6.2", "No passwords in scripts and code", part, gateway,
     "Shows scripts and code outside of the gateway."},
    {"8.6.3", "Passwords of system accounts are changed", part, supports,
     "Sets the interval by a risk analysis."},
    {"10.2.1", "Logs are on", whole, gateway, ""},
    {"10.2.1.1", "Every access to cardholder data", whole, gateway, ""},
    {"10.2.1.2", "Every action of administrators", whole, gateway, ""},
    {"10.2.1.3", "Every access to the logs", whole, gateway, ""},
    {"10.2.1.4", "Every attempt that was refused", whole, gateway, ""},
    {"10.2.1.5", "Every change of credentials", whole, gateway, ""},
    {"10.2.1.6", "Every start, stop and pause of the log", whole, gateway, ""},
    {"10.2.1.7", "Every system object made or removed", whole, gateway, ""},
    {"10.2.2", "What each entry says", whole, gateway, ""},
    {"10.3.1", "Who may read the logs", whole, supports,
     "Shows who has the operating system account that may read the files."},
    {"10.3.2", "Logs cannot be changed by individuals", whole, gateway, ""},
    {"10.3.3", "Logs are copied away promptly", whole, supports,
     "Shows how the receiver protects its copy."},
    {"10.3.4", "Changes of logs are noticed", whole, gateway, ""},
    {"10.4.1", "Daily review of logs", part, supports, "Reads the daily review and signs it."},
    {"10.4.1.1", "Reviews are automated", whole, gateway, ""},
    {"10.4.2", "Other logs are reviewed", none, customer, "Reviews the logs of other systems."},
    {"10.4.2.1", "How often other logs are reviewed", none, customer, "Writes the risk analysis."},
    {"10.4.3", "Exceptions are followed up", part, supports,
     "Says for each exception what was done."},
    {"10.5.1", "Twelve months, three at hand", whole, supports,
     "Keeps the copies that retention needs."},
    {"10.6.1", "Clocks are synchronized", whole, supports, ""},
    {"10.6.2", "Clocks follow designated sources", part, customer,
     "Shows the time sources of the machine."},
    {"10.6.3", "Time settings are protected, changes are logged", whole, supports, ""},
    {"10.7.1", "Service providers: failures of controls are noticed", whole, gateway, ""},
    {"10.7.2", "Failures of controls are noticed", whole, gateway, ""},
    {"10.7.3", "Failures of controls are answered", part, supports,
     "Fills in cause, risk and prevention of each failure."},
    {"11.5.2", "Changes of critical files are noticed", whole, supports, ""},
    {"12.3.1", "Targeted risk analyses", none, customer, "Writes them; figures are in this pack."},
    {"12.3.3", "Cryptography in use is reviewed yearly", part, supports,
     "Reviews the list and the plan for weak algorithms."},
    {"12.5.1", "Inventory of components in scope", part, supports,
     "Adds the components that are not behind the gateway."},
    {"12.5.2", "Scope is confirmed", part, supports,
     "Compares the places found with the scope that is documented."},
    {"12.10.5", "Alerts are watched", part, supports, "Shows who answers alerts."},
    {"12.10.7", "Card numbers where they should not be", part, supports,
     "Closes each case: removes the data, says where it came from."},
};

}  // namespace

std::string_view SplitName(Split split) {
  switch (split) {
    case gateway:
      return "gateway does";
    case supports:
      return "gateway supports";
    case customer:
      return "customer does";
    case not_applicable:
      return "not applicable";
  }
  return "customer does";
}

std::span<const Requirement> Requirements() { return kRequirements; }

const Requirement* FindRequirement(std::string_view id) {
  const auto found = std::ranges::find(kRequirements, id, &Requirement::id);
  return found == std::end(kRequirements) ? nullptr : found;
}

}  // namespace sallyport::evidence_pack
