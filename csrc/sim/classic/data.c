#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kept as JSON text and parsed once per car. The range map's two rings start with the document's
   points; the rest is made up: wide inland, narrow towards the coast. */
static const char vehicles[] =
  "[{\"remote360\":\"NOT_SUPPORTED\",\"chargingControl\":\"WEEKLY_PLANNER\","
  "\"countryCode\":\"V1-UK\",\"hornBlow\":\"NOT_SUPPORTED\",\"brand\":\"BMW_I\","
  "\"smartSolution\":\"NOT_SUPPORTED\",\"hasAlarmSystem\":true,"
  "\"climateControl\":\"NOT_SUPPORTED\","
  "\"doorUnlock\":\"ACTIVATED\",\"rangeMap\":\"RANGE_POLYGON\","
  "\"climateFunction\":\"AIRCONDITIONING\","
  "\"lscType\":\"I_LSC_IMM\",\"hub\":\"HUB_ECE\",\"statisticsAvailable\":true,"
  "\"doorLock\":\"ACTIVATED\",\"intermodalRouting\":\"AVAILABLE\","
  "\"model\":\"I3 +REX\",\"vehicleFinder\":\"ACTIVATED\","
  "\"color\":\"SOLARORANGE MET. M. AKZE\","
  "\"vin\":\"WAB1C23456V123456\",\"bodytype\":\"I01\",\"chargeNow\":\"NOT_SUPPORTED\","
  "\"supportedChargingModes\":[\"AC_LOW\",\"AC_HIGH\",\"DC\"],\"sendPoi\":\"ACTIVATED\","
  "\"yearOfConstruction\":2014,\"climateNow\":\"ACTIVATED\",\"lightFlash\":\"ACTIVATED\","
  "\"driveTrain\":\"BEV_REX\",\"licensePlate\":\"AB64 1BC\","
  "\"statisticsCommunityEnabled\":true,"
  "\"colorCode\":\"B78\",\"onlineSearchMode\":\"MAP\",\"dealer\":{"
  "\"name\":\"BMW UK Ltd\",\"country\":\"GB\",\"postalCode\":\"GU14 0FB\","
  "\"city\":\"Farnborough\",\"street\":\"Summit ONE\"},\"lastDestinations\":\"SUPPORTED\"}]";

static const char status[] =
  "{\"vin\":\"WAB1C23456V123456\",\"mileage\":1234,"
  "\"updateReason\":\"VEHICLE_SHUTDOWN_SECURED\","
  "\"updateTime\":\"2015-10-30T18:45:04+0100\",\"doorDriverFront\":\"CLOSED\","
  "\"doorDriverRear\":\"CLOSED\",\"doorPassengerFront\":\"CLOSED\","
  "\"doorPassengerRear\":\"CLOSED\",\"windowDriverFront\":\"CLOSED\","
  "\"windowDriverRear\":\"CLOSED\",\"windowPassengerFront\":\"CLOSED\","
  "\"windowPassengerRear\":\"CLOSED\",\"trunk\":\"CLOSED\",\"rearWindow\":\"INVALID\","
  "\"convertibleRoofState\":\"INVALID\",\"hood\":\"CLOSED\",\"doorLockState\":\"SECURED\","
  "\"parkingLight\":\"OFF\",\"positionLight\":\"OFF\",\"remainingFuel\":8.9,"
  "\"remainingRangeElectric\":73,\"remainingRangeElectricMls\":45,"
  "\"remainingRangeFuel\":126,\"remainingRangeFuelMls\":78,\"maxRangeElectric\":134,"
  "\"maxRangeElectricMls\":83,\"fuelPercent\":99,\"maxFuel\":9,"
  "\"connectionStatus\":\"DISCONNECTED\","
  "\"chargingStatus\":\"INVALID\",\"chargingLevelHv\":58,"
  "\"lastChargingEndReason\":\"UNKNOWN\","
  "\"lastChargingEndResult\":\"FAILED\",\"position\":{\"lat\":51.123456,"
  "\"lon\":-1.2345678,\"heading\":211,\"status\":\"OK\"},\"chargingTimeRemaining\":45,"
  "\"internalDataTimeUTC\":\"2015-10-30T18:47:44\"}";

static const char last_trip[] =
  "{\"efficiencyValue\":0.53,\"totalDistance\":141,\"electricDistance\":100.1,"
  "\"avgElectricConsumption\":16.6,\"avgRecuperation\":2,\"drivingModeValue\":0,"
  "\"accelerationValue\":0.39,\"anticipationValue\":0.81,\"totalConsumptionValue\":0.79,"
  "\"auxiliaryConsumptionValue\":0.66,\"avgCombinedConsumption\":1.9,"
  "\"electricDistanceRatio\":71,\"savedFuel\":0,\"date\":\"2015-12-01T20:44:00+0100\","
  "\"duration\":124}";

static const char all_trips[] =
  "{\"avgElectricConsumption\":{\"communityLow\":0,\"communityAverage\":16.33,"
  "\"communityHigh\":35.53,\"userAverage\":14.76},\"avgRecuperation\":{"
  "\"communityLow\":0,\"communityAverage\":3.76,\"communityHigh\":14.03,"
  "\"userAverage\":2.3},\"chargecycleRange\":{\"communityAverage\":121.58,"
  "\"communityHigh\":200,\"userAverage\":72.62,\"userHigh\":135,"
  "\"userCurrentChargeCycle\":60},"
  "\"totalElectricDistance\":{\"communityLow\":1,\"communityAverage\":12293.65,"
  "\"communityHigh\":77533.6,\"userTotal\":3158.66},\"avgCombinedConsumption\":{"
  "\"communityLow\":0,\"communityAverage\":1.21,\"communityHigh\":6.2,"
  "\"userAverage\":0.36},\"batterySizeMax\":35820,\"savedCO2\":87.58,"
  "\"savedCO2greenEnergy\":515.177,\"totalSavedFuel\":0,"
  "\"resetDate\":\"1970-01-01T01:00:00+0100\"}";

static const char charging_profile[] =
  "{\"weeklyPlanner\":{\"climatizationEnabled\":true,\"chargingMode\":\"DELAYED_CHARGING\","
  "\"chargingPreferences\":\"CHARGING_WINDOW\",\"timer1\":{\"departureTime\":\"07:30\","
  "\"timerEnabled\":true,\"weekdays\":[\"MONDAY\"]},\"timer2\":{\"departureTime\":\"13:00\","
  "\"timerEnabled\":false,\"weekdays\":[\"SATURDAY\"]},\"timer3\":{"
  "\"departureTime\":\"08:00\",\"timerEnabled\":false,\"weekdays\":["
  "]},\"overrideTimer\":{\"departureTime\":\"07:30\",\"timerEnabled\":false,"
  "\"weekdays\":[\"MONDAY\"]},\"preferredChargingWindow\":{\"enabled\":true,"
  "\"startTime\":\"05:02\",\"endTime\":\"17:31\"}}}";

static const char destinations[] =
  "[{\"lat\":51.53053283691406,\"lon\":-0.08362331241369247,\"country\":\"UNITED KINGDOM\","
  "\"city\":\"LONDON\",\"street\":\"PITFIELD STREET\",\"type\":\"DESTINATION\","
  "\"createdAt\":\"2015-09-25T08:06:11+0200\"}]";

/* The document's example is from a plug-in hybrid. */
static const char navigation[] =
  "{\"latitude\":62.250584,\"longitude\":3.7717776,\"isoCountryCode\":\"DEU\","
  "\"auxPowerRegular\":1.4,\"auxPowerEcoPro\":1.2,\"auxPowerEcoProPlus\":0.4,"
  "\"soc\":4.019000053405762,\"socMax\":5.6,\"eco\":\"1c94,1206,d9d,d0f,cd3,cf9,e2d,f49,"
  "10ec,10ec,117c\","
  "\"norm\":\"1e15,12f9,e54,dbf,d82,da7,eed,1017,11d0,1483,19a9\","
  "\"ecoEv\":\"c31,799,5c5,5a5,5ae,5fc,6fb,861,9df,9df,9df\",\"normEv\":\"cd5,800,613,5f1,"
  "5fc,64c,759,8d2,a65,bf8,e7d\","
  "\"vehicleMass\":\"1560\",\"kAccReg\":\"1440000\",\"kDecReg\":\"3420000\","
  "\"kAccEco\":\"1548000\",\"kDecEco\":\"3240000\",\"kUp\":\"1800000\","
  "\"kDown\":\"2700000\",\"driveTrain\":\"phev_otto\",\"pendingUpdate\":false,"
  "\"vehicleTracking\":true}";

enum { POINTS = 50 };

static const double eco_pro_plus[POINTS][2] = {
  {51.6991281509399, -2.00423240661621},  {51.6909098625183, -1.91526889801025},
  {51.712359875095, -1.76053328333497},   {51.7212036753528, -1.61121243984428},
  {51.7462589731951, -1.48489094968221},  {51.805866445896, -1.3710702929399},
  {51.8405390204097, -1.24424288766842},  {51.8184363819742, -1.11518324724095},
  {51.7788538931648, -0.990493167449132}, {51.754653363678, -0.851930770769235},
  {51.7019191742622, -0.71866429066371},  {51.6264511731859, -0.605682697819718},
  {51.5823104522473, -0.451251569514631}, {51.5084867263649, -0.351050302265319},
  {51.4096013388975, -0.35990835706417},  {51.3357932225934, -0.368902621472674},
  {51.2833308794457, -0.33811695499058},  {51.2316431549704, -0.296831108245307},
  {51.1683095012386, -0.278051563483109}, {51.0907697695479, -0.269974137918534},
  {50.9919475907346, -0.229470269551353}, {50.8902809620862, -0.286649342708675},
  {50.8362898844507, -0.479844749639222}, {50.7746890180772, -0.581843995866869},
  {50.7224279082223, -0.665750143453483}, {50.7071092611855, -0.766391685218769},
  {50.697313419343, -0.844672405888166},  {50.6800909639057, -0.906577200088152},
  {50.6670524436205, -0.977488647060328}, {50.6936907348732, -1.07799039044689},
  {50.763660989637, -1.18560777622496},   {50.7694019919853, -1.27675717688694},
  {50.7342050342908, -1.38862717028118},  {50.7431537113666, -1.49607003781446},
  {50.7326676010829, -1.62072090125097},  {50.738758364035, -1.73195824646185},
  {50.7763083539027, -1.7928572587046},   {50.8119240519185, -1.84647307254345},
  {50.8303144082729, -1.94747784561801},  {50.8478372396152, -2.10609807669585},
  {50.9014440079942, -2.24186167424724},  {50.9918519098905, -2.29569371212736},
  {51.0918035815185, -2.33646804607738},  {51.192375168229, -2.30660736017598},
  {51.2739577995799, -2.20547457153381},  {51.3517378807593, -2.16525010929758},
  {51.4420162864033, -2.17268159600899},  {51.5249144377645, -2.13526431612758},
  {51.5998665241178, -2.0620310152789},   {51.6991281509399, -2.00423240661621},
};

static const double comfort[POINTS][2] = {
  {51.7212295532227, -1.7363977432251},   {51.6991496086121, -1.73077583312988},
  {51.6217359365423, -1.8127899862798},   {51.5541258205956, -1.88383839063712},
  {51.4870936510214, -1.9360743624425},   {51.4207682505036, -1.97401940585709},
  {51.3664011586512, -2.04518358207364},  {51.3040718818643, -2.12569624830419},
  {51.2174938665321, -2.11541877836162},  {51.1324433435801, -2.08028457165941},
  {51.0488037031341, -2.1105018749915},   {50.9695300139697, -2.0929969055018},
  {50.9085897850821, -2.0303534669905},   {50.854706545577, -1.98673817709017},
  {50.810114250649, -1.93788525394907},   {50.7890946489917, -1.84685294869661},
  {50.7987664321413, -1.71180079227871},  {50.8114658995007, -1.58620486243681},
  {50.7856144788667, -1.5042019768876},   {50.781370722185, -1.40153734440875},
  {50.7969130963041, -1.30078679277581},  {50.7899584385394, -1.21680751780359},
  {50.8229555286347, -1.15147521524439},  {50.8500312812383, -1.10682310862597},
  {50.8384212232426, -1.05364341773356},  {50.8067469378884, -0.980718967814898},
  {50.7791354135154, -0.889574955366154}, {50.7800012774693, -0.794577730296707},
  {50.8029685547605, -0.688990083981454}, {50.8330826820691, -0.543259474052587},
  {50.9093298804858, -0.465527084240715}, {50.989224804118, -0.397735006079246},
  {51.0628622680409, -0.273333760957378}, {51.1401998804381, -0.252309693271576},
  {51.201831812662, -0.310047799482655},  {51.2520769129936, -0.362542162792099},
  {51.3029333379029, -0.398075223517028}, {51.35574084687, -0.450002113574937},
  {51.4011816019934, -0.544372345332832}, {51.4637254814741, -0.610945113259525},
  {51.567543510708, -0.637558359927},     {51.6304372505287, -0.742282909575714},
  {51.6501032200849, -0.877357663656761}, {51.6877824819026, -0.986097110695546},
  {51.7170455299375, -1.09464349607892},  {51.7220496891645, -1.20720092862384},
  {51.7347956845089, -1.32377176963215},  {51.7581450170821, -1.45785689657037},
  {51.7468970779, -1.59671202992272},     {51.7212295532227, -1.7363977432251},
};

static json_t *parse(const char *text) {
  json_error_t error;
  json_t *value = json_loads(text, 0, &error);
  if (value == NULL) {
    fprintf(stderr, "bmwi-sim: built-in answer: %s\n", error.text);
    abort();
  }
  return value;
}

static json_t *point(double lat, double lon) {
  return json_pack("{s:f, s:f}", "lat", lat, "lon", lon);
}

static json_t *ring(const char *type, const double points[POINTS][2]) {
  json_t *polyline = json_array();
  for (size_t i = 0; i < POINTS; i++) {
    json_array_append_new(polyline, point(points[i][0], points[i][1]));
  }
  return json_pack("{s:s, s:o}", "type", type, "polyline", polyline);
}

json_t *data_vehicles(void) { return parse(vehicles); }

json_t *data_answer(const char *name, const char *vin) {
  static const struct {
    const char *name;
    const char *text;
  } answers[] = {
    {"status", status},
    {"lastTrip", last_trip},
    {"allTrips", all_trips},
    {"chargingprofile", charging_profile},
    {"destinations", destinations},
    {"navigation", navigation},
  };
  if (strcmp(name, "rangemap") == 0) {
    return json_pack("{s:o, s:s, s:[o, o]}", "center", point(51.123456, -1.2345678), "quality",
                     "AVERAGE", "rangemaps", ring("ECO_PRO_PLUS", eco_pro_plus),
                     ring("COMFORT", comfort));
  }
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    if (strcmp(answers[i].name, name) == 0) {
      json_t *answer = parse(answers[i].text);
      if (json_object_get(answer, "vin") != NULL) {
        json_object_set_new(answer, "vin", json_string(vin));
      }
      return answer;
    }
  }
  return NULL;
}
